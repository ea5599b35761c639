/// What makes a submission safe to send again: a key that the client chose, and the digest of what it submitted.
package struct IdempotencyKey: Sendable, Hashable {
  /// Bytes of a key at most.
  package static let limit = 200

  package let key: String
  /// Of the content of the body; boundaries of multipart bodies and ids that the service gave do not count.
  package let digest: String

  package init(key: String, digest: String) {
    self.key = key
    self.digest = digest
  }
}
