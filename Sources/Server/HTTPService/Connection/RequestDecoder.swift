import NIOCore
import NIOHTTP1

/// NIO's parser of requests, kept from stopping in the middle of a connection.
///
/// NIO stops after a request that asks for another protocol (`Upgrade: h2c`, as curl and Java send it) and keeps all that
/// follows in memory, for an upgrade that never comes here. A service may ignore such a wish (RFC 9110, section 7.8), so a
/// new parser goes on where the old one stopped.
final class RequestDecoder: ByteToMessageDecoder {
  typealias InboundOut = HTTPServerRequestPart

  /// What is to be done with the bytes after the message that is being parsed.
  enum Course {
    case goesOn
    /// The parser stops there; a new one takes its place.
    case restarts
    /// Nobody will read them: they are thrown away as they come.
    case discards
  }

  /// Set by `FramingGuard`, while it looks at what was parsed.
  var course = Course.goesOn
  private var parser = RequestDecoder.makeParser()

  /// Headers beyond this are answered 400: 16 KiB a field, 64 KiB and 128 fields in all.
  private static func makeParser() -> HTTPRequestDecoder {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16 << 10
    limits.maxHeaderListSize = 64 << 10
    limits.maxHeaderFieldCount = 128
    return HTTPRequestDecoder(limitConfiguration: limits)
  }

  func decoderAdded(context: ChannelHandlerContext) { parser.decoderAdded(context: context) }

  func decoderRemoved(context: ChannelHandlerContext) { parser.decoderRemoved(context: context) }

  func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
    repeat {
      if course == .restarts {
        course = .goesOn
        parser.decoderRemoved(context: context)
        parser = Self.makeParser()
        parser.decoderAdded(context: context)
      }
      if course == .goesOn { _ = try parser.decode(context: context, buffer: &buffer) }
    } while course == .restarts && buffer.readableBytes > 0
    if course == .discards { buffer.moveReaderIndex(forwardBy: buffer.readableBytes) }
    return .needMoreData
  }

  func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
    _ = try decode(context: context, buffer: &buffer)
    guard course == .goesOn else { return .needMoreData }
    return try parser.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
  }
}
