import Core
import Crypto
import Foundation

/// The text that a bearer presents: `zpt_` and 32 random bytes in base64url (RFC 4648, section 5), without padding.
///
/// It is shown once, when it is made, and kept nowhere. Deliberately not printable by accident: it is no
/// `CustomStringConvertible`, and the text has to be asked for.
package struct TokenSecret: Sendable {
  /// For the one who gets the token.
  package let text: String

  private static let prefix = "zpt_"
  private static let length = 43

  /// A new secret from the system's generator.
  package static func generate() -> TokenSecret {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let base64 = Data(bytes).base64EncodedString()
    return TokenSecret(
      text: prefix + String(base64.prefix(length).map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }))
  }

  private init(text: String) { self.text = text }

  /// Reads what a client sent; nil for anything that `generate` could not have made.
  package init?(_ text: some StringProtocol) {
    let digits = text.utf8.dropFirst(Self.prefix.utf8.count)
    guard text.hasPrefix(Self.prefix), digits.count == Self.length,
      digits.allSatisfy({ byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      })
    else { return nil }
    self.text = String(text)
  }

  /// What is stored. A plain hash will do: a secret of 256 random bits cannot be guessed, salted or not.
  package var digest: TokenDigest { TokenDigest(bytes: Array(SHA256.hash(data: Data(text.utf8)))) }
}

/// The SHA-256 of a secret.
package struct TokenDigest: Sendable {
  private let bytes: [UInt8]

  fileprivate init(bytes: [UInt8]) { self.bytes = bytes }

  /// Reads what a store kept; nil unless it is 64 hexadecimal digits.
  package init?(hexadecimal text: String) {
    let digits = Array(text.utf8).map { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == 2 * SHA256.byteCount, !digits.contains(nil) else { return nil }
    bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0)) }
  }

  /// Lower-case, for the store.
  package var hexadecimal: String { bytes.hexadecimal }

  /// The part by which a store finds candidates. Its comparison may take any time: it tells nothing of the rest.
  package var lookup: String { String(hexadecimal.prefix(16)) }

  /// Compares in a time that does not depend on where two digests differ.
  package func matches(_ other: TokenDigest) -> Bool {
    var difference: UInt8 = 0
    for (left, right) in zip(bytes, other.bytes) { difference |= left ^ right }
    return difference == 0 && bytes.count == other.bytes.count
  }
}
