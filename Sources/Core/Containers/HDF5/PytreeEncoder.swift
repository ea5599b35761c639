/// Writes the nesting of an object tree as `cstorch.save` does: the value of the root attribute `__spec__`.
struct PytreeEncoder {
  /// The tree with a star for each leaf; only for people to read, the loader ignores it.
  private var outline = ""
  /// The tree specification, protocol 1 of `treespec_dumps`.
  private var spec = ""
  private var hasSet = false
  private var pacer = Interruption.Pacer()

  private static let leaf = #"{"type": null, "context": null, "children_spec": []}"#

  /// The JSON array of outline and specification. An outline that JSON cannot hold is null, as in the tool.
  ///
  /// Throws `.usage` for a dictionary key that the specification cannot hold. Complexity: O(nodes).
  static func encode<Tensor>(_ tree: ObjectTree<Tensor>) throws(ConversionError) -> String {
    var encoder = PytreeEncoder()
    try encoder.add(tree)
    return "[\(encoder.hasSet ? "null" : encoder.outline), \(JSONWriter.quoted("[1, \(encoder.spec)]"))]"
  }

  /// The same for a dictionary of one leaf, which each leaf's own metadata begins with.
  static func encodeLeaf(key: String) -> String {
    let quoted = JSONWriter.quoted(key)
    let spec =
      #"[1, {"type": "builtins.dict", "context": \#(JSONWriter.quoted("[\(quoted)]")), "#
      + #""children_spec": [\#(leaf)]}]"#
    return #"[{\#(quoted): "*"}, \#(JSONWriter.quoted(spec))]"#
  }

  private mutating func add<Tensor>(_ tree: ObjectTree<Tensor>) throws(ConversionError) {
    try pacer.step()
    switch tree {
    case .dictionary(let entries, let ordered): try add(entries, ordered: ordered)
    case .list(let values): try add(values, type: "builtins.list")
    case .tuple(let values): try add(values, type: "builtins.tuple")
    case .set(let values):
      hasSet = true
      try add(values, type: "builtins.set")
    default:
      outline += "\"*\""
      spec += Self.leaf
    }
  }

  private mutating func add<Tensor>(_ values: [ObjectTree<Tensor>], type: String) throws(ConversionError) {
    outline += "["
    spec += "{\"type\": \"\(type)\", \"context\": \"null\", \"children_spec\": ["
    for (index, value) in values.enumerated() {
      if index > 0 { separate() }
      try add(value)
    }
    outline += "]"
    spec += "]}"
  }

  private mutating func add<Tensor>(_ entries: [ObjectTree<Tensor>.Entry], ordered: Bool) throws(ConversionError) {
    var keys = "["
    for (index, entry) in entries.enumerated() {
      try pacer.step()
      keys += (index > 0 ? ", " : "") + (try json(entry.key))
    }
    outline += "{"
    spec += "{\"type\": \"\(ordered ? "collections.OrderedDict" : "builtins.dict")\", \"context\": "
    spec += JSONWriter.quoted(keys + "]") + ", \"children_spec\": ["
    for (index, entry) in entries.enumerated() {
      if index > 0 { separate() }
      let name = try json(entry.key)
      outline += name.hasPrefix("\"") ? name : "\"\(name)\""
      outline += ": "
      try add(entry.value)
    }
    outline += "}"
    spec += "]}"
  }

  private mutating func separate() {
    outline += ", "
    spec += ", "
  }

  /// A dictionary key as JSON, its type kept.
  private func json<Tensor>(_ key: ObjectTree<Tensor>.Key) throws(ConversionError) -> String {
    switch key {
    case .string(let text): JSONWriter.quoted(text)
    case .int(let number): "\(number)"
    case .bool(let flag): flag ? "true" : "false"
    case .none: "null"
    case .double(let number): PythonFloat.json(number)
    case .tuple:
      throw ConversionError(
        .usage,
        "a Cerebras HDF5 checkpoint cannot hold the dictionary key \(key), a tuple; write a torch archive instead")
    }
  }
}
