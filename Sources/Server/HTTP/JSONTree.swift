import Foundation
import HTTPTypes

/// A JSON document of a request as a tree, so that every wrong field can be named at once.
enum JSONTree: Decodable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONTree])
  case object([String: JSONTree])

  /// Parses a document. Throws `Problem` 400 when it is not JSON.
  static func parse(_ data: Data) throws -> JSONTree {
    do {
      return try JSONDecoder().decode(JSONTree.self, from: data)
    } catch {
      throw Problem(.badRequest, .malformedRequest, "the body is not valid JSON", cause: String(reflecting: error))
    }
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([JSONTree].self) {
      self = .array(value)
    } else if let value = try? container.decode([String: JSONTree].self) {
      self = .object(value)
    } else {
      // A number that no double holds, such as 1e999; inside an inline config it is the converter's business.
      self = .number(.infinity)
    }
  }
}
