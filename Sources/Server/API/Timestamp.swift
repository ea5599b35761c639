import Foundation

/// A moment in milliseconds since 1970, UTC. RFC 3339 in JSON, an integer in the database.
package struct Timestamp: Hashable, Comparable, Sendable, Codable {
  package let milliseconds: Int

  /// What the wall clock says.
  package static var now: Timestamp { Timestamp(milliseconds: Int(Date().timeIntervalSince1970 * 1000)) }

  package init(milliseconds: Int) { self.milliseconds = milliseconds }

  /// A later (or earlier) moment.
  package func advanced(by duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    return Timestamp(milliseconds: milliseconds + Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }

  package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

  private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  /// `2025-03-01T12:00:00.123Z`, exact to the millisecond.
  ///
  /// `Date` counts seconds as a `Double` from 2001, and the style cuts off: without the quarter, some milliseconds would be
  /// written as the one before.
  package var text: String { Date(timeIntervalSince1970: (Double(milliseconds) + 0.25) / 1000).formatted(Self.style) }

  /// Reads `2025-03-01T12:00:00.123Z`; nil for anything else.
  package init?(text: String) {
    guard let date = try? Self.style.parse(text) else { return nil }
    milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded())
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let date = try Self.style.parse(container.decode(String.self))
    milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded())
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
