import API
import Hummingbird
import NIOCore

/// The body of a request, piece by piece. A connection that breaks is the client's fault, not the service's.
///
/// The first piece that is asked for is what sends `100 Continue` to a client that waits for it. So a handler says no
/// before it asks, and the client keeps its bytes.
struct BodyReader {
  private var iterator: RequestBody.AsyncIterator
  /// Bytes that the client says it will send.
  private let announced: Int?
  private let channel: any Channel
  private var isAskedFor = false

  init(_ request: Request, _ context: ServiceContext) {
    iterator = request.body.makeAsyncIterator()
    announced = request.headers[.contentLength].flatMap { Int($0) }
    channel = context.channel
  }

  /// The next piece, nil at the end. Throws `Fault` 400 when the body breaks off.
  mutating func next() async throws -> ByteBuffer? {
    if !isAskedFor {
      isAskedFor = true
      channel.triggerUserOutboundEvent(ConnectionGuard.BodyAwaited(), promise: nil)
    }
    do {
      return try await iterator.next()
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw Fault(.malformedRequest, "the body broke off", cause: String(reflecting: error))
    }
  }

  /// The whole body. Throws `Fault` 413 when it has more than `limit` bytes.
  mutating func collect(limit: Int) async throws -> ByteBuffer {
    guard announced ?? 0 <= limit else { throw Fault.tooLarge("the body", limit: limit) }
    var body = ByteBuffer()
    while let piece = try await next() {
      guard body.readableBytes + piece.readableBytes <= limit else { throw Fault.tooLarge("the body", limit: limit) }
      body.writeImmutableBuffer(piece)
    }
    return body
  }
}
