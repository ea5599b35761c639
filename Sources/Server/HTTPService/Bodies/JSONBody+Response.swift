import API
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension JSONBody {
  /// An answer with a JSON body and a final line feed, which terminals like.
  static func response(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: body(try encode(value)))
  }

  /// The same for JSON that is encoded already and has an `ETag`: 304 without a body where the client has it.
  static func response(_ json: Data, tagged tag: EntityTag, to request: Request) -> Response {
    var headers: HTTPFields = [.eTag: tag.value, .cacheControl: "private, no-cache"]
    if tag.matchesAny(of: request.headers[.ifNoneMatch]) { return Response(status: .notModified, headers: headers) }
    headers[.contentType] = "application/json"
    return Response(status: .ok, headers: headers, body: body(json))
  }

  private static func body(_ json: Data) -> ResponseBody {
    var buffer = ByteBuffer(bytes: json)
    buffer.writeString("\n")
    return ResponseBody(byteBuffer: buffer)
  }
}

extension Response {
  /// The same head without the body, for HEAD.
  var headOnly: Response { createHeadResponse() }
}
