import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Source URLs")
struct SourceURLTests {
  @Test(
    "Accepted, with host and file name",
    arguments: [
      ("https://Example.org/a/b.bin", "example.org", "b.bin"), ("http://h:8080/x?sig=secret#f", "h", "x"),
      ("https://h/a%20b.bin", "h", "a b.bin"), ("https://[::1]:80/x/", "::1", "x"), ("https://h", "h", nil),
      ("https://h/a%2Fb", "h", nil), ("https://h/.hidden", "h", nil),
    ] as [(String, String, String?)])
  func accepted(_ text: String, _ host: String, _ name: String?) throws {
    let url = try SourceURL(text)
    #expect(url.host == host)
    #expect(url.fileName?.description == name)
    #expect(!url.withoutQuery.contains("secret"))
    #expect(!url.text.contains("#"))
  }

  @Test(
    "Refused",
    arguments: [
      "", "x", "/etc/passwd", "file:///etc/passwd", "ftp://h/x", "gopher://h/", "dict://h/", "https://user@h/x",
      "https://user:pw@h/x", "https://:pw@h/", "http://h/a b", "http://h/\r\nX: y", "http://h:99999/", "http://",
      "javascript:alert(1)", "http://h/" + String(repeating: "x", count: 9000),
    ])
  func refused(_ text: String) {
    #expect(throws: SourceURL.Refused.self) { _ = try SourceURL(text) }
  }
}
