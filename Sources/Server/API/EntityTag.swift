import Core
import Crypto
package import Foundation

/// A strong entity tag, and the conditions that a request may put on it (RFC 9110, section 13).
package struct EntityTag: Sendable {
  /// With quotes.
  package let value: String

  /// A tag made from a digest.
  package init(sha256: String) { value = "\"\(sha256)\"" }

  /// A tag of bytes that are made anew for each answer.
  package init(content: Data) { self.init(sha256: SHA256.hash(data: content).prefix(16).hexadecimal) }

  /// The tag without quotes, as the id of an event.
  package var eventID: String { String(value.dropFirst().dropLast()) }

  /// True when `If-None-Match` names this tag, so that the answer is 304.
  package func matchesAny(of header: String?) -> Bool {
    guard let header else { return false }
    return header.split(separator: ",").contains { entry in
      let tag = entry.trimmingSpaces
      return tag == "*" || tag == value || tag == "W/\(value)"
    }
  }

  /// False when `If-Match` names other tags only, so that the answer is 412. Weak tags never match.
  package func isWanted(by header: String?) -> Bool {
    header?.split(separator: ",").map(\.trimmingSpaces).contains { $0 == "*" || $0 == value } ?? true
  }

  /// True when a `Range` holds: no `If-Range`, or one with this very tag. Dates and weak tags never hold.
  package func allowsRange(ifRange header: String?) -> Bool {
    header.map { $0.trimmingSpaces == value } ?? true
  }
}
