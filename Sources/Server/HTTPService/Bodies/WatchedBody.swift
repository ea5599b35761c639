import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  /// The same answer, whose body reports why it broke off unless the connection was the reason: its head is sent by then and
  /// says that all is well. For bodies that are made while they are sent.
  func watched(by context: ServiceContext) -> Response {
    var response = self
    let (body, report) = (body, context.reportFault)
    response.body = ResponseBody(contentLength: body.contentLength) { writer in
      do {
        try await body.write(WatchedWriter(base: writer))
      } catch let lost as ConnectionLost {
        throw lost.cause
      } catch {
        if !(error is CancellationError) { report(error) }
        throw error
      }
    }
    return response
  }
}

/// An error of the connection, told apart from those of who writes to it.
private struct ConnectionLost: Error {
  let cause: any Error
}

private struct WatchedWriter: ResponseBodyWriter {
  var base: any ResponseBodyWriter

  mutating func write(_ buffer: ByteBuffer) async throws {
    do { try await base.write(buffer) } catch { throw ConnectionLost(cause: error) }
  }

  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
    do { try await base.finish(trailingHeaders) } catch { throw ConnectionLost(cause: error) }
  }
}
