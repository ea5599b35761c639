import OrderedCollections

/// Reads the JSON form of a `TreeSpec`, which `torch.utils._pytree.treespec_dumps` writes and format 0.5 uses.
///
/// `[1, node]` with `node = {"type": T, "context": C, "children_spec": [node, ...]}`; C is a string that holds JSON.
struct PytreeJSON {
  private let name: String
  private let limits: Limits

  /// Parses a spec. `name` is what errors call it. Complexity: O(text).
  static func parse(_ text: String, name: String, limits: Limits) throws(ConversionError) -> Pytree {
    let parser = PytreeJSON(name: name, limits: limits)
    let document = try JSONReader.parse(Array(text.utf8), name: name, limits: limits.forCheckpointJSON)
    guard case .array(let parts) = document, parts.count == 2, parts[0] == .int(1) else {
      throw ConversionError(.unreadableInput, "\(name) is no tree specification of protocol 1")
    }
    return try parser.node(parts[1], depth: 0)
  }

  private func node(_ value: ConfigValue, depth: Int) throws(ConversionError) -> Pytree {
    guard depth < limits.nesting else {
      throw ConversionError(.hostileInput, "\(name) is nested more than \(limits.nesting) levels deep")
    }
    guard case .object(let fields) = value, let type = fields["type"],
      case .array(let specs) = fields["children_spec"] ?? .array([])
    else { throw ConversionError(.unreadableInput, "\(name) holds a node without type or children") }
    guard case .string(let type) = type else {
      guard type == .null, specs.isEmpty else {
        throw ConversionError(.unreadableInput, "\(name) holds a leaf with children")
      }
      return .leaf
    }
    var children: [Pytree] = []
    children.reserveCapacity(specs.count)
    for spec in specs { children.append(try node(spec, depth: depth + 1)) }
    switch type {
    case "builtins.list": return .list(children)
    case "builtins.tuple": return .tuple(children)
    case "builtins.set": return .set(children)
    case "builtins.dict", "collections.OrderedDict":
      let keys = try self.keys(fields["context"])
      guard keys.count == children.count else {
        throw ConversionError(
          .unreadableInput, "\(name) holds a dictionary of \(keys.count) keys and \(children.count) values")
      }
      return .dictionary(keys, children, ordered: type != "builtins.dict")
    default:
      throw ConversionError(
        .unreadableInput,
        "\(name) holds a container of type \(PythonText.repr(type)); dict, OrderedDict, list, tuple and set are read")
    }
  }

  private func keys(_ context: ConfigValue?) throws(ConversionError) -> [Pytree.Tree.Key] {
    guard case .string(let text) = context,
      case .array(let values) = try JSONReader.parse(
        Array(text.utf8), name: name, limits: limits.forCheckpointJSON)
    else { throw ConversionError(.unreadableInput, "\(name) holds a dictionary without its keys") }
    var keys: [Pytree.Tree.Key] = []
    var seen: Set<Pytree.Tree.Key> = []
    keys.reserveCapacity(values.count)
    for value in values {
      let key: Pytree.Tree.Key
      switch value {
      case .string(let text), .timestamp(let text): key = .string(text)
      case .bool(let flag): key = .bool(flag)
      case .null: key = .none
      case .number(let number):
        if let int = number.int {
          key = .int(int)
        } else if case .double(let double) = number.value {
          key = .double(double)
        } else {
          throw ConversionError(.unreadableInput, "\(name) holds the dictionary key \(number.double)")
        }
      case .array, .object: throw ConversionError(.unreadableInput, "\(name) holds a container as a dictionary key")
      }
      guard seen.insert(key).inserted else {
        throw ConversionError(.hostileInput, "\(name) holds the dictionary key \(key) twice")
      }
      keys.append(key)
    }
    return keys
  }
}

extension Limits {
  /// Limits for the JSON inside a checkpoint, which grows with the number of its leaves. Each level of a tree
  /// specification nests two levels of JSON.
  var forCheckpointJSON: Limits {
    var limits = self
    limits.configBytes = pickleBytes
    limits.configNodes = treeNodes
    limits.nesting = 2 * nesting + 8
    return limits
  }
}
