import NIOCore
import NIOHTTP1

/// What the HTTP library leaves open about where messages begin and end.
///
/// - Refused, because two servers in a row may read it differently: a request without `Host` or with two (RFC 9112,
///   section 3.2), a transfer coding in HTTP/1.0 (section 6.1) or another one than `chunked`, which nobody would undo, and
///   `CONNECT`, after which another protocol would begin. The error that is raised is answered as a parse error is: after
///   the answers to earlier requests, with 400 and the end of the connection. What follows is not read.
/// - A target in absolute form (`GET http://host/path`) names the host, whatever `Host` says (RFC 9112, section 3.2.2). From
///   here on it is a path, and `Host` is that of the target. A target of another form or scheme is refused.
/// - A wish for another protocol is ignored, and the connection goes on.
/// - `Connection: close` in any spelling, and HTTP/1.0, end the connection after the answer. What follows is not read.
/// - To HTTP/1.0 an answer without a length ends with the connection, as chunks are unknown there.
/// - An expectation in HTTP/1.0 is taken off, as RFC 9110, section 10.1.1, wants it ignored.
///
/// Stands between parser and codec, which forgets the version and folds the hosts.
final class FramingGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private let decoder: RequestDecoder
  /// What becomes of the bytes after the request that is being read.
  private var courseAfter = RequestDecoder.Course.goesOn
  private var requests = 0
  private var answers = 0
  /// The number of a request of HTTP/1.0; it is the last one of its connection.
  private var oldRequest: Int?

  init(decoder: RequestDecoder) { self.decoder = decoder }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard decoder.course != .discards else { return }
    switch unwrapInboundIn(data) {
    case .head(var head):
      guard head.method != .CONNECT, !Self.isAmbiguous(head), Self.takeAuthority(of: &head) else {
        decoder.course = .discards
        context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
        return
      }
      requests += 1
      courseAfter = Self.asksForAnotherProtocol(head) ? .restarts : .goesOn
      if head.version == .http1_0 {
        oldRequest = requests
        head.headers.remove(name: "expect")
      }
      if head.version == .http1_0 || !head.isKeepAlive {
        head.headers.replaceOrAdd(name: "connection", value: "close")
        courseAfter = .discards
      }
      context.fireChannelRead(wrapInboundOut(.head(head)))
    case .body:
      context.fireChannelRead(data)
    case .end:
      context.fireChannelRead(data)
      decoder.course = courseAfter
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(var head) where answers + 1 == oldRequest && !head.headers.contains(name: "content-length"):
      head.version = .http1_0
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .head, .body:
      context.write(data, promise: promise)
    case .end:
      answers += 1
      context.write(data, promise: promise)
    }
  }

  private static func isAmbiguous(_ head: HTTPRequestHead) -> Bool {
    let hosts = head.headers["host"].count
    let codings = head.headers["transfer-encoding"]
    if head.version == .http1_0 { return hosts > 1 || !codings.isEmpty }
    return hosts != 1 || !codings.isEmpty && codings.map { $0.lowercased() } != ["chunked"]
  }

  /// Turns a target in absolute form into a path and a `Host`. False for one that is no target of an origin server.
  private static func takeAuthority(of head: inout HTTPRequestHead) -> Bool {
    if head.uri.hasPrefix("/") || head.uri == "*" { return true }
    guard let colon = head.uri.firstIndex(of: ":"), ["http", "https"].contains(head.uri[..<colon].lowercased()),
      head.uri[colon...].hasPrefix("://")
    else { return false }
    let rest = head.uri[colon...].dropFirst(3)
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !authority.isEmpty, !authority.contains("@") else { return false }
    let path = rest.dropFirst(authority.count)
    head.headers.replaceOrAdd(name: "host", value: String(authority))
    head.uri = path.hasPrefix("/") ? String(path) : "/" + path
    return true
  }

  /// True for every request after which the parser stops, and perhaps for some that only look like it.
  private static func asksForAnotherProtocol(_ head: HTTPRequestHead) -> Bool {
    head.headers.contains(name: "upgrade")
      && head.headers["connection"].contains { $0.lowercased().contains("upgrade") }
  }
}
