import HTTPTypes
import Jobs

/// What header fields of answers say, once for all routes. Operations name those that are theirs; the others follow from the
/// status and the route.
enum HeaderDescription {
  private static let texts: [String: String] = [
    "Accept-Ranges": "`bytes`: ranges can be asked for.",
    "Allow": "Methods that the path answers.",
    "Cache-Control": "Whether the answer may be kept.",
    "Content-Disposition": "The file name.",
    "Content-Range": "Which part it is, or the size of the file.",
    "ETag": "Changes with what is answered; the sha256 of an output.",
    "Content-Security-Policy": "What the page may load and run: files of this origin.",
    "Cross-Origin-Resource-Policy": "`same-origin`: pages of other origins may not use it.",
    "Location": "Where the thing that was made is.",
    "Preference-Applied": "The wait that held.",
    "Referrer-Policy": "`no-referrer`.",
    "Repr-Digest": "The sha256 after RFC 9530.",
    "Retry-After": "Seconds after which to try again.",
    "Accept": "Media types that are read.",
    "Accept-Encoding": "`identity`, when the body was coded.",
    "Tus-Checksum-Algorithm": "Algorithms for `Upload-Checksum`.",
    "Tus-Extension": "Extensions.",
    "Tus-Max-Size": "Bytes of the largest upload.",
    "Tus-Resumable": "The version of tus that is spoken.",
    "Tus-Version": "Versions.",
    "Upload-Defer-Length": "1 while the length is not known.",
    "Upload-Expires": "When the upload is removed unless more arrives.",
    "Upload-Length": "Bytes of the whole.",
    "Upload-Metadata": "As it was given.",
    "Upload-Offset": "Where the upload goes on.",
    "WWW-Authenticate": "How to send a token, and what is wrong with the one that came.",
    "X-Accel-Buffering": "`no`: a proxy shall not gather events.",
    "X-Content-Type-Options": "`nosniff`.",
    "X-Request-Id": "Under which the log has the request.",
  ]

  /// Of messages as such; no description of an API lists them.
  private static let framing: Set = [
    "content-length", "content-type", "date", "server", "connection", "transfer-encoding",
  ]

  /// What a field says. Precondition: it is in the table.
  static func text(_ name: String) -> String {
    guard let text = texts[name] else { preconditionFailure("no description of \(name)") }
    return text
  }

  /// True for a field that an answer with this status may have without being described.
  static func isFraming(_ name: String) -> Bool { framing.contains(name.lowercased()) }
}

extension RouteTable.Route {
  /// Fields of every answer with a status, besides those that the operation names for it.
  private func commonHeaders(_ status: Int) -> [String] {
    ["X-Request-Id"] + (TusHeaders.concern(path) ? ["Tus-Resumable"] : [])
  }

  /// The header fields of an answer, by name.
  func headers(of answer: Operation.Answer) -> [String] {
    var names = Set(answer.headers + commonHeaders(answer.status))
    if !answer.content.isEmpty || method == .head { names.insert("Cache-Control") }
    return names.sorted()
  }

  /// The header fields of the refusals with a status, by name.
  func headers(ofRefusal status: Int) -> [String] {
    var names = Set(commonHeaders(status) + ["Cache-Control"])
    switch status {
    case 401, 403: names.insert("WWW-Authenticate")
    case 412: names.insert(TusHeaders.concern(path) ? "Tus-Version" : "ETag")
    case 415: names.formUnion(["Accept", "Accept-Encoding"])
    case 416: names.insert("Content-Range")
    case 423, 429, 502, 503, 507: names.insert("Retry-After")
    default: break
    }
    return names.sorted()
  }
}
