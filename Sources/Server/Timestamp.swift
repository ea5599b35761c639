import Foundation

/// A moment in milliseconds since 1970, UTC. RFC 3339 in JSON, an integer in the database.
struct Timestamp: Hashable, Comparable, Sendable, Codable {
  let milliseconds: Int

  /// What the wall clock says.
  static var now: Timestamp { Timestamp(milliseconds: Int(Date().timeIntervalSince1970 * 1000)) }

  init(milliseconds: Int) { self.milliseconds = milliseconds }

  /// A later (or earlier) moment.
  func advanced(by duration: Duration) -> Timestamp {
    let (seconds, attoseconds) = duration.components
    return Timestamp(milliseconds: milliseconds + Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }

  static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

  private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  /// `2025-03-01T12:00:00.123Z`, exact to the millisecond.
  ///
  /// In integers: `Date` counts seconds as a `Double` from 2001, whose text may be a millisecond early.
  var text: String {
    let (day, time) = Self.divide(milliseconds, by: 86_400_000)
    let (year, month, date) = Self.date(day: day)
    let clock = [time / 3_600_000, time / 60_000 % 60, time / 1000 % 60].map { Self.padded($0, 2) }
    return "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(date, 2))T"
      + "\(clock.joined(separator: ":")).\(Self.padded(time % 1000, 3))Z"
  }

  /// The Gregorian date of a day counted from 1970-01-01. Source: `civil_from_days` of Howard Hinnant's
  /// "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin with March.
  private static func date(day: Int) -> (year: Int, month: Int, day: Int) {
    let (era, dayOfEra) = divide(day + 719_468, by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let fromMarch = (5 * dayOfYear + 2) / 153
    let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * fromMarch + 2) / 5 + 1)
  }

  /// Quotient and remainder, rounded down: the remainder is never negative.
  private static func divide(_ number: Int, by divisor: Int) -> (quotient: Int, remainder: Int) {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(width - digits.count, 0)) + digits
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let date = try Self.style.parse(container.decode(String.self))
    milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded())
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
