import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// JSON in answers and in columns of the database: snake case, sorted keys, so that equal values give equal bytes.
enum JSONBody {
  /// Encodes a value.
  static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  /// Decodes what `encode` made.
  static func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(text.utf8))
  }

  /// Encodes a value as text.
  static func text(_ value: some Encodable) throws -> String { String(decoding: try encode(value), as: UTF8.self) }

  /// An answer with a JSON body and a final line feed, which terminals like.
  static func response(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    var buffer = ByteBuffer(bytes: try encode(value))
    buffer.writeString("\n")
    return Response(
      status: status,
      headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: buffer))
  }
}

extension Response {
  /// The same head without the body, for HEAD.
  var headOnly: Response { createHeadResponse() }
}
