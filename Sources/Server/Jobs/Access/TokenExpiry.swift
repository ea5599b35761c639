package import API
import Foundation

/// The end of a token as an operator writes it.
package enum TokenExpiry {
  /// Reads `12h`, `90d`, `52w` (from `now` on), or a day such as `2030-01-31`, at whose beginning in UTC the token
  /// ends. Nil for anything else, and for what is not after `now`. A hundred years at most.
  package static func moment(_ text: String, after now: Timestamp) -> Timestamp? {
    let hours = ["h": 1, "d": 24, "w": 168]
    if let factor = hours[String(text.suffix(1))], let count = Int(text.dropLast()), count > 0,
      count <= 876_000 / factor
    {
      return now.advanced(by: .seconds(count * factor * 3600))
    }
    let style = Date.ISO8601FormatStyle().year().month().day()
    // The style is lenient about what follows; a day has ten characters.
    guard text.utf8.count == 10, let day = try? style.parse(text) else { return nil }
    let moment = Timestamp(milliseconds: Int(day.timeIntervalSince1970 * 1000))
    return moment > now && moment < now.advanced(by: .seconds(876_000 * 3600)) ? moment : nil
  }
}
