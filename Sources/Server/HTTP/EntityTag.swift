import HTTPTypes
import Hummingbird

/// A strong entity tag, and the conditions that a request may put on it (RFC 9110, section 13).
struct EntityTag: Sendable {
  /// With quotes.
  let value: String

  /// A tag made from a digest.
  init(sha256: String) { value = "\"\(sha256)\"" }

  /// True when `If-None-Match` names this tag, so that the answer is 304.
  func matchesAny(of header: String?) -> Bool {
    guard let header else { return false }
    return header.split(separator: ",").contains { entry in
      let tag = entry.trimmingSpaces
      return tag == "*" || tag == value || tag == "W/\(value)"
    }
  }

  /// True when a `Range` holds: no `If-Range`, or one with this very tag. Dates and weak tags never hold.
  func allowsRange(ifRange header: String?) -> Bool {
    header.map { $0.trimmingSpaces == value } ?? true
  }
}
