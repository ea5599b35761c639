import Foundation

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Compares documents with the schemas that the API declares: those parts of JSON Schema that `JSONSchema` writes.
/// A keyword that is not known is a failure, so that nothing is left unchecked by accident.
struct SchemaValidator {
  /// What is wrong with a document, by its path; empty when it fits.
  static func problems(_ document: Any, _ schema: JSONTree, at path: String = "$") -> [String] {
    guard case .object(let keywords) = schema else { return ["\(path): the schema is no object"] }
    var problems: [String] = []
    for (keyword, rule) in keywords {
      switch (keyword, rule) {
      case ("$ref", .string(let reference)):
        guard let name = SchemaName(rawValue: reference.replacing("#/components/schemas/", with: "")) else {
          return ["\(path): nothing is called \(reference)"]
        }
        problems += Self.problems(document, name.schema.json, at: path)
      case ("anyOf", .array(let choices)):
        let all = choices.map { Self.problems(document, $0, at: path) }
        if !all.contains(where: \.isEmpty) { problems.append("\(path): fits none of \(all)") }
      case ("type", .string(let type)):
        if !isType(document, type) { problems.append("\(path): \(document) is no \(type)") }
      case ("enum", .array(let values)):
        let texts = values.map { if case .string(let text) = $0 { text } else { "" } }
        if !texts.contains(document as? String ?? "?") { problems.append("\(path): \(document) is none of \(texts)") }
      case ("pattern", .string(let pattern)):
        let text = document as? String ?? ""
        if text.range(of: pattern, options: .regularExpression) == nil {
          problems.append("\(path): \(text) does not match \(pattern)")
        }
      case ("format", .string("date-time")):
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        if (try? style.parse(document as? String ?? "")) == nil { problems.append("\(path): \(document) is no time") }
      case ("minimum", .number(let least)):
        if (number(document) ?? -.infinity) < least { problems.append("\(path): \(document) is under \(least)") }
      case ("maximum", .number(let most)):
        if (number(document) ?? .infinity) > most { problems.append("\(path): \(document) is over \(most)") }
      case ("maxLength", .number(let most)):
        if Double((document as? String)?.count ?? 0) > most { problems.append("\(path): \(document) is too long") }
      case ("minItems", .number(let least)):
        if Double((document as? [Any])?.count ?? 0) < least { problems.append("\(path): too few items") }
      case ("items", _):
        for (index, item) in (document as? [Any] ?? []).enumerated() {
          problems += Self.problems(item, rule, at: "\(path)[\(index)]")
        }
      case ("properties", .object(let members)):
        for (name, value) in document as? [String: Any] ?? [:] {
          if let schema = members[name] { problems += Self.problems(value, schema, at: "\(path).\(name)") }
        }
      case ("required", .array(let names)):
        for case .string(let name) in names where (document as? [String: Any])?[name] == nil {
          problems.append("\(path): \(name) is missing")
        }
      case ("additionalProperties", .bool(false)):
        guard case .object(let members) = keywords["properties"] else { return ["\(path): no properties"] }
        for name in (document as? [String: Any] ?? [:]).keys where members[name] == nil {
          problems.append("\(path): \(name) is not declared")
        }
      case ("description", _), ("contentMediaType", _): break
      default: problems.append("\(path): the keyword \(keyword) is not known")
      }
    }
    return problems
  }

  private static func isType(_ document: Any, _ type: String) -> Bool {
    switch type {
    case "object": document is [String: Any]
    case "array": document is [Any]
    case "string": document is String
    case "null": document is NSNull
    case "boolean": document is Bool
    case "number": number(document) != nil
    case "integer": number(document).map { $0.rounded() == $0 } ?? false
    default: false
    }
  }

  private static func number(_ document: Any) -> Double? { document as? Double ?? (document as? Int).map(Double.init) }
}
