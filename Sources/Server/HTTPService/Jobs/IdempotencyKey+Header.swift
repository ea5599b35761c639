import API
import HTTPTypes
import Jobs

extension IdempotencyKey {
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
