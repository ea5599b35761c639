import NIOCore
import NIOHTTP1

/// Refuses what the HTTP library lets pass though two servers in a row may read it differently: a request without `Host`
/// or with two (RFC 9112, section 3.2), and a transfer coding in HTTP/1.0 (section 6.1).
///
/// Stands before the codec, which forgets the version and folds the hosts. The error that it raises is answered as a
/// parse error is: after the answers to earlier requests, with 400 and the end of the connection. What follows is not read.
final class FramingGuard: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart

  private var isRefusing = false

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isRefusing else { return }
    if case .head(let head) = unwrapInboundIn(data), Self.isAmbiguous(head) {
      isRefusing = true
      context.fireErrorCaught(HTTPParserError.invalidHeaderToken)
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
