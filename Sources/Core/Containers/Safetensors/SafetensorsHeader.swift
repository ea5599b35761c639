/// The header of a safetensors file: a JSON object of names, types, shapes and byte ranges.
///
/// A dedicated parser: it goes through the bytes once and builds nothing but the entries. It takes what the
/// `serde_json` of the library takes, except that it refuses duplicate keys. Complexity: O(bytes); nesting is bounded.
struct SafetensorsHeader {
  /// One tensor.
  struct Entry {
    let name: String
    let dtype: DType
    let shape: [Int]
    /// Bytes of the tensor, counted from the end of the header.
    let range: Range<Int>
  }

  /// The tensors in the order of the header.
  private(set) var entries: [Entry] = []
  /// The `__metadata__` of the file.
  private(set) var metadata: [String: String] = [:]

  /// Parses a header. Throws `.unreadableInput` for what is no JSON or has an unknown type, `.hostileInput` for
  /// duplicate names, deep nesting, and numbers that are no sizes.
  init(_ bytes: [UInt8], path: String, limits: Limits) throws(ConversionError) {
    var parser = SafetensorsHeaderParser(bytes, path: path, limits: limits)
    var names: Set<String> = []
    try parser.expect("{")
    var first = true
    var pacer = Interruption.Pacer()
    while try parser.hasNext("}", first: &first) {
      try pacer.step()
      let name = try parser.key()
      // Names that are equal but for their Unicode normal form would be one key of the state dict.
      guard names.insert(name).inserted else { throw parser.hostile("has two entries named '\(name.prefix(200))'") }
      if name == "__metadata__" {
        metadata = try Self.metadata(&parser)
      } else {
        guard entries.count < limits.tensors else { throw parser.hostile("has more than \(limits.tensors) tensors") }
        entries.append(try Self.entry(name, &parser))
        if entries.count % 256 == 1 { try limits.take(256 * 448) }
      }
    }
    try parser.end()
  }

  private static func metadata(_ parser: inout SafetensorsHeaderParser) throws(ConversionError) -> [String: String] {
    var metadata: [String: String] = [:]
    // The library takes null for no metadata.
    if try parser.takesNull() { return metadata }
    try parser.expect("{")
    var first = true
    while try parser.hasNext("}", first: &first) {
      let key = try parser.key()
      guard try parser.peek() == UInt8(ascii: "\"") else {
        throw parser.unreadable("has metadata that is no text at '\(key.prefix(200))'")
      }
      guard metadata.updateValue(try parser.string(), forKey: key) == nil else {
        throw parser.hostile("has two metadata entries named '\(key.prefix(200))'")
      }
    }
    return metadata
  }

  private static func entry(
    _ name: String, _ parser: inout SafetensorsHeaderParser
  ) throws(ConversionError) -> Entry {
    var dtype: DType?
    var shape: [Int]?
    var range: [Int]?
    try parser.expect("{")
    var first = true
    while try parser.hasNext("}", first: &first) {
      let field = try parser.key()
      switch field {
      case "dtype" where dtype == nil:
        let text = try parser.string()
        dtype = SafetensorsDType.dtype(text)
        if dtype == nil {
          throw parser.unreadable("has the type '\(text.prefix(40))' for '\(name.prefix(200))', which is not supported")
        }
      case "shape" where shape == nil: shape = try parser.sizes(of: name)
      case "data_offsets" where range == nil: range = try parser.sizes(of: name)
      case "dtype", "shape", "data_offsets":
        throw parser.hostile("states the \(field) of '\(name.prefix(200))' twice")
      default: try parser.skipValue()
      }
    }
    guard let dtype, let shape, let range, range.count == 2 else {
      throw parser.unreadable("lacks type, shape or offsets for '\(name.prefix(200))'")
    }
    guard range[0] <= range[1] else { throw parser.hostile("has a byte range that ends before it begins: '\(name)'") }
    return Entry(name: name, dtype: dtype, shape: shape, range: range[0]..<range[1])
  }
}
