import HTTPTypes

/// What makes a submission safe to send again: a key that the client chose, and the digest of what it submitted.
struct IdempotencyKey: Sendable, Hashable {
  /// Bytes of a key at most.
  static let limit = 200

  let key: String
  /// Of the content of the body; boundaries of multipart bodies and ids that the service gave do not count.
  let digest: String

  /// The key of a request, if it has one. Throws `Fault` 400 for a key that is empty, too long or not printable ASCII.
  static func read(_ headers: HTTPFields) throws -> String? {
    guard let key = headers[.idempotencyKey] else { return nil }
    guard !key.isEmpty, key.utf8.count <= limit, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Fault.malformed("Idempotency-Key must have 1 to \(limit) printable ASCII characters without spaces")
    }
    return key
  }
}

extension HTTPField.Name {
  /// Of draft-ietf-httpapi-idempotency-key-header.
  static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}
