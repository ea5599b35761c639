import NIOCore
import NIOHTTP1

/// Refuses what the HTTP library lets pass though two servers in a row may read it differently: a request without `Host`
/// or with two (RFC 9112, section 3.2), and a transfer coding in HTTP/1.0 (section 6.1).
///
/// An expectation in HTTP/1.0 is taken off, as RFC 9110, section 10.1.1, wants it ignored.
///
/// Stands before the codec, which forgets the version and folds the hosts. The error that it raises is answered as a
/// parse error is: after the answers to earlier requests, with 400 and the end of the connection. What follows is not read.
final class FramingGuard: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart

  private var isRefusing = false

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isRefusing else { return }
    guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
    if Self.isAmbiguous(head) {
      isRefusing = true
      context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
    } else if head.version == .http1_0, head.headers.contains(name: "expect") {
      head.headers.remove(name: "expect")
      context.fireChannelRead(wrapInboundOut(.head(head)))
    } else {
      context.fireChannelRead(data)
    }
  }

  private static func isAmbiguous(_ head: HTTPRequestHead) -> Bool {
    let hosts = head.headers["host"].count
    if head.version == .http1_0 { return hosts > 1 || head.headers.contains(name: "transfer-encoding") }
    return hosts != 1
  }
}
