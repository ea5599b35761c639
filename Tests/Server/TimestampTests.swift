import Testing

@testable import Server

@Suite("Timestamps")
struct TimestampTests {
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
