import Hummingbird
import NIOCore

/// The body of a request, piece by piece. A connection that breaks is the client's fault, not the service's.
struct BodyReader {
  private var iterator: RequestBody.AsyncIterator

  init(_ request: Request) { iterator = request.body.makeAsyncIterator() }

  /// The next piece, nil at the end. Throws `Problem` 400 when the body breaks off.
  mutating func next() async throws -> ByteBuffer? {
    do {
      return try await iterator.next()
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw Problem(.badRequest, .malformedRequest, "the body broke off", cause: String(reflecting: error))
    }
  }

  /// The whole body. Throws `Problem` 413 when it has more than `limit` bytes.
  mutating func collect(limit: Int) async throws -> ByteBuffer {
    var body = ByteBuffer()
    while let piece = try await next() {
      guard body.readableBytes + piece.readableBytes <= limit else { throw Problem.tooLarge("the body", limit: limit) }
      body.writeImmutableBuffer(piece)
    }
    return body
  }
}
