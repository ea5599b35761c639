import API
import Core
import Foundation
import HTTPTypes
import OrderedCollections

/// A JSON document as a tree: a request, so that every wrong field can be named at once, or a schema.
enum JSONTree: Encodable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONTree])
  case object([String: JSONTree])

  /// Parses a document by the rules that configs are read by: UTF-8, and no key twice in an object. Throws `Fault` 400 for
  /// anything else. Complexity: O(bytes), some 100 MB/s.
  static func parse(_ data: Data) throws -> JSONTree {
    var limits = Limits.standard
    limits.configBytes = .max
    do {
      return JSONTree(try JSONReader.parse([UInt8](data), name: "the body", limits: limits))
    } catch {
      throw Fault(.malformedRequest, "the body is not valid JSON: \(error.message)")
    }
  }

  /// The same value without the order of keys and the spelling of numbers.
  private init(_ value: ConfigValue) {
    switch value {
    case .null: self = .null
    case .bool(let flag): self = .bool(flag)
    // A number that no double holds, such as 1e999, is infinite; inside an inline config it is the converter's business.
    case .number(let number): self = .number(number.double)
    case .string(let text), .timestamp(let text): self = .string(text)
    case .array(let values): self = .array(values.map { JSONTree($0) })
    case .object(let members):
      self = .object(Dictionary(uniqueKeysWithValues: members.map { ($0.key, JSONTree($0.value)) }))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }
}

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  init(stringLiteral value: String) { self = .string(value) }
  init(integerLiteral value: Int) { self = .number(Double(value)) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(arrayLiteral elements: JSONTree...) { self = .array(elements) }
  init(dictionaryLiteral elements: (String, JSONTree)...) {
    self = .object(Dictionary(elements) { _, last in last })
  }
}
