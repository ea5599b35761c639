import HTTPTypes
import Hummingbird
import NIOCore

/// `/openapi.json`: what the service can be asked.
struct ReferenceController: Sendable {
  /// `GET /openapi.json`.
  @Sendable func document(_ request: Request, context: ServiceContext) async throws -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-cache"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: OpenAPIDocument.bytes)))
  }
}
