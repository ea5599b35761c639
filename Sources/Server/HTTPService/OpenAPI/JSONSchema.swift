/// A JSON Schema (2020-12), as OpenAPI 3.1 uses it, together with what a table of fields needs.
struct JSONSchema: Sendable {
  /// The schema itself.
  let json: JSONTree
  /// How the type is called in the reference page.
  let title: String
  /// Of an object, in the order of declaration.
  private(set) var fields: [Field] = []
  private(set) var summary = ""

  /// A member of an object.
  struct Field: Sendable {
    let name: String
    let schema: JSONSchema
    let isRequired: Bool
  }

  private init(_ json: [String: JSONTree], _ title: String, fields: [Field] = []) {
    self.json = .object(json)
    self.title = title
    self.fields = fields
  }

  static func string(format: String? = nil, pattern: String? = nil, longest: Int? = nil) -> JSONSchema {
    var json: [String: JSONTree] = ["type": "string"]
    json["format"] = format.map { .string($0) }
    json["pattern"] = pattern.map { .string($0) }
    json["maxLength"] = longest.map { .number(Double($0)) }
    return JSONSchema(json, format ?? "string")
  }

  static func choice(_ values: [String]) -> JSONSchema {
    JSONSchema(
      ["type": "string", "enum": .array(values.map { .string($0) })],
      values.map { "`\($0)`" }.joined(separator: ", "))
  }

  static func integer(_ range: ClosedRange<Int>? = nil) -> JSONSchema {
    var json: [String: JSONTree] = ["type": "integer"]
    json["minimum"] = range.map { .number(Double($0.lowerBound)) }
    json["maximum"] = range.map { .number(Double($0.upperBound)) }
    return JSONSchema(json, range.map { "integer from \($0.lowerBound) to \($0.upperBound)" } ?? "integer")
  }

  /// A number of bytes or of things: never negative.
  static let count = JSONSchema(["type": "integer", "minimum": 0], "integer")
  static let number = JSONSchema(["type": "number"], "number")
  static let boolean = JSONSchema(["type": "boolean"], "boolean")
  /// Any bytes: the content of a file.
  static let bytes = JSONSchema(["type": "string", "contentMediaType": "application/octet-stream"], "file")
  /// Whatever the media type allows.
  static let anything = JSONSchema([:], "file")
  static let text = JSONSchema(["type": "string"], "text")

  static func array(_ item: JSONSchema, atLeast: Int? = nil) -> JSONSchema {
    var json: [String: JSONTree] = ["type": "array", "items": item.json]
    json["minItems"] = atLeast.map { .number(Double($0)) }
    return JSONSchema(json, "array of \(item.title)")
  }

  /// An object with these fields and no others. Those in `optional` may be absent.
  static func object(_ members: KeyValuePairs<String, JSONSchema>, optional: Set<String> = []) -> JSONSchema {
    object(members.map { Field(name: $0.key, schema: $0.value, isRequired: !optional.contains($0.key)) })
  }

  /// An object with these fields and no others. All of them may be absent.
  static func object(optional members: [(name: String, schema: JSONSchema)]) -> JSONSchema {
    object(members.map { Field(name: $0.name, schema: $0.schema, isRequired: false) })
  }

  private static func object(_ fields: [Field]) -> JSONSchema {
    JSONSchema(
      [
        "type": "object", "additionalProperties": false,
        "properties": .object(Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.schema.described) })),
        "required": .array(fields.filter(\.isRequired).map { .string($0.name) }),
      ], "object", fields: fields)
  }

  /// An object with any members.
  static let anyObject = JSONSchema(["type": "object"], "object")

  /// Text that holds a JSON document.
  static func embedded(_ name: SchemaName) -> JSONSchema {
    let inner = JSONSchema.named(name)
    return JSONSchema(
      ["type": "string", "contentMediaType": "application/json", "contentSchema": inner.json], "\(inner.title) as text")
  }

  static func anyOf(_ choices: [JSONSchema]) -> JSONSchema {
    JSONSchema(["anyOf": .array(choices.map(\.json))], choices.map(\.title).joined(separator: " or "))
  }

  /// One of the schemas that are declared under a name.
  static func named(_ name: SchemaName) -> JSONSchema {
    JSONSchema(
      ["$ref": .string("#/components/schemas/\(name.rawValue)")], "[\(name.rawValue)](#\(name.rawValue.lowercased()))")
  }

  /// This, or null.
  var orNull: JSONSchema { JSONSchema(["anyOf": [json, ["type": "null"]]], "\(title) or null") }

  /// The same with a sentence for people.
  func about(_ summary: String) -> JSONSchema {
    var schema = self
    schema.summary = summary
    return schema
  }

  /// With the sentence in the schema.
  var described: JSONTree {
    guard !summary.isEmpty, case .object(var json) = json else { return json }
    json["description"] = .string(summary)
    return .object(json)
  }
}
