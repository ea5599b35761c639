package import API
import CCurl

/// An http(s) URL that a client asked the service to download, parsed by the library that will fetch it: two parsers
/// that disagree about the host are how such checks are got round.
package struct SourceURL: Hashable, Sendable, Codable {
  /// Why a URL is refused.
  package struct Refused: Error, Equatable { package let reason: String }

  /// Bytes at most.
  package static let limit = 8192

  /// Normalised, without fragment.
  package let text: String
  /// Lower case, without brackets.
  package let host: String
  /// Scheme, host, port and path. Queries may hold signatures and are never shown or logged.
  package let withoutQuery: String
  /// The last component of the path, when it can be a file name.
  package let fileName: FileName?
  /// Scheme, host and port: whom a credential may be sent to.
  package let origin: String
  /// The path, percent-encoded, beginning with a slash.
  package let path: String

  /// Parses a URL. Refuses other schemes, credentials, and what libcurl does not understand.
  package init(_ text: String) throws(Refused) {
    guard text.utf8.count <= Self.limit else { throw Refused(reason: "a URL may have at most \(Self.limit) bytes") }
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
      throw Refused(reason: "the URL has spaces or control characters; percent-encode them")
    }
    guard let handle = curl_url() else { throw Refused(reason: "the URL cannot be parsed") }
    defer { curl_url_cleanup(handle) }
    guard curl_url_set(handle, CURLUPART_URL, text, UInt32(CURLU_NON_SUPPORT_SCHEME)) == CURLUE_OK,
      let scheme = Self.part(handle, CURLUPART_SCHEME)
    else { throw Refused(reason: "the URL cannot be parsed; it must begin with https:// or http://") }
    guard scheme == "https" || scheme == "http" else {
      throw Refused(reason: "only https and http URLs can be fetched, not \(scheme)")
    }
    guard let host = Self.part(handle, CURLUPART_HOST), !host.isEmpty else {
      throw Refused(reason: "the URL names no host")
    }
    guard Self.part(handle, CURLUPART_USER) == nil, Self.part(handle, CURLUPART_PASSWORD) == nil else {
      throw Refused(reason: "the URL holds credentials, which would end up in logs; leave them out")
    }
    curl_url_set(handle, CURLUPART_FRAGMENT, nil, 0)
    guard let normalised = Self.part(handle, CURLUPART_URL) else {
      throw Refused(reason: "the URL cannot be parsed")
    }
    self.text = normalised
    self.host = String(host.lowercased().drop { $0 == "[" }.prefix { $0 != "]" })
    path = Self.part(handle, CURLUPART_PATH) ?? "/"
    let port = Self.part(handle, CURLUPART_PORT) ?? (scheme == "https" ? "443" : "80")
    origin = "\(scheme)://\(host.lowercased()):\(port)"
    fileName = path.split(separator: "/").last.flatMap { PercentEncoding.decode($0) }.flatMap(FileName.init)
    withoutQuery = String(normalised.prefix { $0 != "?" })
  }

  private static func part(_ handle: OpaquePointer, _ part: CURLUPart) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text else { return nil }
    defer { curl_free(text) }
    return String(cString: text)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    do {
      try self.init(container.decode(String.self))
    } catch let error as Refused {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.reason)
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
