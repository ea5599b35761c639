import API
import CCurl
import Foundation

/// One HTTP request of the service to somebody else's server.
package struct TransferRequest: Sendable {
  /// What is asked for.
  enum Method: Sendable { case get, head }

  var method = Method.get
  var url: SourceURL
  /// Sent to the origin of `url` and dropped by every redirect that leaves it.
  var token: HubToken?
  /// False holds the token back; what the server answers is searched for it all the same.
  var showsToken = true
  /// The first byte that is wanted.
  var first: Int?
  /// The last byte that is wanted; nil for all from `first` on.
  var last: Int?
  /// A strong validator, an entity tag with its quotes or a date: the range is wanted of this version only.
  var ifRange: String?

  init(_ method: Method = .get, _ url: SourceURL, token: HubToken? = nil) {
    self.method = method
    self.url = url
    self.token = token
  }

  /// The header lines that libcurl does not write by itself.
  var headerLines: [String] {
    // A compressed answer would have another size and other ranges.
    var lines = ["Accept-Encoding: identity"]
    if let token, showsToken { lines.append("Authorization: Bearer \(token.secret)") }
    if let first { lines.append("Range: bytes=\(first)-\(last.map(String.init) ?? "")") }
    if let ifRange { lines.append("If-Range: \(ifRange)") }
    return lines
  }
}

/// The head of an answer.
package struct TransferHead: Sendable {
  let status: Int
  /// By lower-case name; the last of several.
  let headers: [String: String]

  subscript(_ name: String) -> String? { headers[name] }

  /// A size in a header; nil when it is absent or no size.
  func size(_ name: String) -> Int? { self[name].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }

  /// The entity tag with its quotes when it is strong, so that two answers with it have the same bytes (RFC 9110, 8.8.3).
  var strongTag: String? {
    guard let tag = self["etag"], tag.hasPrefix("\""), tag.hasSuffix("\""), tag.utf8.count > 2 else { return nil }
    return tag
  }

  /// First byte and size of the whole file in `Content-Range: bytes 0-9/100` (RFC 9110, 14.4); nil for anything else.
  var contentRange: (first: Int, total: Int?)? {
    guard let text = self["content-range"], text.hasPrefix("bytes ") else { return nil }
    let parts = text.dropFirst("bytes ".count).split(whereSeparator: { $0 == "-" || $0 == "/" })
    guard parts.count == 3, let first = Int(parts[0]), first >= 0 else { return nil }
    return (first, Int(parts[2]))
  }

  /// What tells this version of a file from all others: its strong tag, or else the time of its last change, when the
  /// answer is so much later that a second change would have another time (RFC 9110, 8.8.2.2).
  var validator: String? {
    if let strongTag { return strongTag }
    guard let text = self["last-modified"], let changed = Self.moment(text),
      let now = self["date"].flatMap(Self.moment), now - changed >= 60
    else { return nil }
    return text
  }

  /// True when the answer is certainly of another version than the one with this validator.
  func isOther(than validator: String?) -> Bool {
    guard let validator else { return false }
    let own = validator.hasPrefix("\"") ? strongTag : self["last-modified"]
    return own.map { $0 != validator } ?? false
  }

  /// Whether the server says that it serves ranges; nil when it does not say.
  var servesRanges: Bool? { self["accept-ranges"].map { $0.lowercased() == "bytes" } }

  /// What the server asks to wait: the longest of `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3), and the reset
  /// of a limit that is used up (`RateLimit: "api";r=0;t=55`, draft-ietf-httpapi-ratelimit-headers). A year at most.
  var retryAfter: Duration? {
    var seconds: [Int] = []
    if let text = self["retry-after"] {
      if let number = Int(text) {
        seconds.append(number)
      } else if let date = Self.moment(text) {
        // By the clock of the server, if it shows it.
        seconds.append(date - (self["date"].flatMap(Self.moment) ?? time(nil)))
      }
    }
    for item in self["ratelimit"]?.split(separator: ",") ?? [] {
      let parameters = item.split(separator: ";").map { $0.trimmingSpaces.split(separator: "=", maxSplits: 1) }
      func value(_ name: String) -> Int? {
        parameters.first { $0.count == 2 && $0[0] == name }.flatMap { Int($0[1]) }
      }
      if value("r") == 0, let reset = value("t") { seconds.append(reset) }
    }
    return seconds.max().map { .seconds(min(max($0, 0), 365 * 86_400)) }
  }

  /// A date of HTTP in seconds since 1970; nil for what is none.
  private static func moment(_ text: String) -> Int? {
    let moment = curl_getdate(text, nil)
    return moment < 0 ? nil : moment
  }
}

/// A credential of a hub. Nothing prints it: no log, no error, no job's JSON.
package struct HubToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text, for the header of a request alone.
  package let secret: String

  /// Takes 1 to 1024 printable ASCII characters without spaces; nil for anything else.
  package init?(_ text: String) {
    guard (1...1024).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    secret = text
  }

  package var description: String { "(token)" }

  /// A text in which the token, if it is there, is not shown.
  func redact(_ text: String) -> String { text.replacingOccurrences(of: secret, with: "[token]", options: .literal) }

  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
