import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Timestamps")
struct TimestampTests {
  @Test(
    "The text of a moment is exact, on either side of 1970",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (-1000, "1969-12-31T23:59:59.000Z"), (999, "1970-01-01T00:00:00.999Z"),
      (951_782_400_001, "2000-02-29T00:00:00.001Z"), (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
      (1_709_251_200_000, "2024-03-01T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
      (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
  func text(_ milliseconds: Int, _ expected: String) {
    #expect(Timestamp(milliseconds: milliseconds).text == expected)
  }

  @Test("A moment comes back from its text, and its whole seconds are those of Foundation")
  func roundTrip() throws {
    var generator = SystemRandomNumberGenerator()
    let style = Date.ISO8601FormatStyle()
    for moment in Array(-2000...2000)
      + (0..<5000).map({ _ in Int.random(in: -2_208_988_800_000...4_102_444_800_000, using: &generator) })
    {
      let timestamp = Timestamp(milliseconds: moment)
      let data = try JSONEncoder().encode([timestamp])
      #expect(try JSONDecoder().decode([Timestamp].self, from: data) == [timestamp], "\(moment)")
      let seconds = (Double(moment) / 1000).rounded(.down)
      #expect(
        timestamp.text.prefix(19) == Date(timeIntervalSince1970: seconds).formatted(style).prefix(19), "\(moment)")
    }
  }

  @Test("Milliseconds are added as they are, and what is less is left out")
  func advanced() {
    for milliseconds in 0..<3000 {
      let later = Timestamp(milliseconds: 5).advanced(by: .milliseconds(milliseconds))
      #expect(later == Timestamp(milliseconds: 5 + milliseconds))
      #expect(later.advanced(by: .milliseconds(-milliseconds)) == Timestamp(milliseconds: 5))
    }
    #expect(Timestamp(milliseconds: 5).advanced(by: .microseconds(1999)) == Timestamp(milliseconds: 6))
    #expect(Timestamp(milliseconds: 5).advanced(by: .milliseconds(-1500)) == Timestamp(milliseconds: -1495))
  }

  @Test(
    "The date of an HTTP header (RFC 9110, section 5.6.7)",
    arguments: [
      (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
      (1_735_689_599_999, "Tue, 31 Dec 2024 23:59:59 GMT"),
    ])
  func http(_ milliseconds: Int, _ expected: String) {
    #expect(Timestamp(milliseconds: milliseconds).httpText == expected)
  }
}
