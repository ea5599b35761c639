import Crypto
package import Foundation

/// The key that a client and its receiver share, and the signature that it makes.
///
/// The form is that of Standard Webhooks 1.0.0 (standardwebhooks.com), whose libraries check it in many languages.
package struct WebhookSecret: Sendable {
  private let key: SymmetricKey

  /// Bytes of a key. Standard Webhooks asks for 24 to 64; a longer text is none that a person would have chosen.
  package static let keyBytes = 24...64
  package static let rule =
    "secret must be whsec_ and the Base64 of \(keyBytes.lowerBound) to \(keyBytes.upperBound) random bytes, such as "
    + "echo whsec_$(openssl rand -base64 32) prints"

  /// Reads `whsec_` and Base64; nil for anything else.
  package init?(_ text: String) {
    let prefix = "whsec_"
    guard text.hasPrefix(prefix), text.utf8.count <= 128,
      let data = Data(base64Encoded: String(text.dropFirst(prefix.count))),
      Self.keyBytes.contains(data.count)
    else { return nil }
    key = SymmetricKey(data: data)
  }

  /// The value of `webhook-signature`: HMAC-SHA256 over id, seconds since 1970 and body, with dots between.
  package func signature(id: String, seconds: Int, body: Data) -> String {
    var hmac = HMAC<SHA256>(key: key)
    hmac.update(data: Data("\(id).\(seconds).".utf8))
    hmac.update(data: body)
    return "v1," + Data(hmac.finalize()).base64EncodedString()
  }
}
