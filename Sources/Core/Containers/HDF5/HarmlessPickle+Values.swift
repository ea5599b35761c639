/// Shared parts of a pickle are visited each time they are referred to; this bounds how often and how deep.
private struct Visits {
  let name: String
  let limits: Limits
  private var count = 0

  init(name: String, limits: Limits) {
    self.name = name
    self.limits = limits
  }

  mutating func enter(depth: Int) throws(ConversionError) {
    count += 1
    guard depth < limits.nesting, count <= limits.treeNodes else {
      throw ConversionError(
        .hostileInput,
        "\(name) is nested more than \(limits.nesting) levels deep or has more than \(limits.treeNodes) values")
    }
  }
}

extension HarmlessPickle {
  /// The pickle as a plain value: numbers, strings, bytes, containers, complex numbers, dtypes, devices and numpy
  /// scalars, which become Python numbers. Throws `.unreadableInput` for anything else.
  static func value(
    _ bytes: [UInt8], name: String, limits: Limits
  ) throws(ConversionError) -> ObjectTree<TensorDescriptor> {
    let pickle = try HarmlessPickle(bytes, name: name, limits: limits)
    var visits = Visits(name: name, limits: limits)
    return try pickle.tree(pickle.root, depth: 0, &visits)
  }

  /// The pickle as a `TreeSpec` of `torch.utils._pytree`, as releases before 2.1 stored the shape of a checkpoint.
  static func treeSpec(_ bytes: [UInt8], name: String, limits: Limits) throws(ConversionError) -> Pytree {
    let pickle = try HarmlessPickle(bytes, name: name, limits: limits)
    var visits = Visits(name: name, limits: limits)
    return try pickle.pytree(pickle.root, depth: 0, &visits)
  }

  private typealias Tree = ObjectTree<TensorDescriptor>

  private func tree(_ index: Int, depth: Int, _ visits: inout Visits) throws(ConversionError) -> Tree {
    try visits.enter(depth: depth)
    switch nodes[index] {
    case .none: return .none
    case .bool(let value): return .bool(value)
    case .int(let value): return .int(value)
    case .double(let value): return .double(value)
    case .string(let value): return .string(value)
    case .bytes(let value): return .bytes(value)
    case .list(let items): return .list(try trees(items, depth: depth, &visits))
    case .tuple(let items): return .tuple(try trees(items, depth: depth, &visits))
    case .set(let items): return .set(try trees(items, depth: depth, &visits))
    case .dictionary(let pairs): return try dictionary(pairs, depth: depth, &visits)
    case .global(let global):
      guard let dtype = Self.torchDType(global) else { throw unexpected(global, in: visits.name) }
      return .opaque(.dtype("torch.\(dtype)"))
    case .call(let callee, let arguments, _):
      return try called(callee, arguments, depth: depth, &visits)
    }
  }

  private func trees(_ items: [Int], depth: Int, _ visits: inout Visits) throws(ConversionError) -> [Tree] {
    var trees: [Tree] = []
    for item in items { trees.append(try tree(item, depth: depth + 1, &visits)) }
    return trees
  }

  private func dictionary(
    _ pairs: [(key: Int, value: Int)], depth: Int, _ visits: inout Visits
  ) throws(ConversionError) -> Tree {
    var entries: [Tree.Entry] = []
    var positions: [Tree.Key: Int] = [:]
    for pair in pairs {
      let key = try key(pair.key, name: visits.name)
      let value = try tree(pair.value, depth: depth + 1, &visits)
      // As in Python, a later value replaces an earlier one in its place.
      if let position = positions[key] {
        entries[position].value = value
      } else {
        positions[key] = entries.count
        entries.append(.init(key, value))
      }
    }
    return .dictionary(entries, ordered: false)
  }

  private func key(_ index: Int, name: String) throws(ConversionError) -> Tree.Key {
    switch nodes[index] {
    case .string(let text): return .string(text)
    case .int(let value): return .int(value)
    case .bool(let value): return .bool(value)
    case .double(let value): return .double(value)
    case .none: return .none
    default: throw ConversionError(.unreadableInput, "\(name) holds a dictionary key that is neither text nor number")
    }
  }

  /// The name after `torch.` when a global is a dtype.
  private static func torchDType(_ global: String) -> String? {
    guard global.hasPrefix("torch.") else { return nil }
    let name = String(global.dropFirst(6))
    return DType(rawValue: name) == nil ? nil : name
  }

  private func unexpected(_ global: String, in name: String) -> ConversionError {
    ConversionError(
      .unreadableInput, "\(name) holds a value of class \(PythonText.repr(global)), which has no plain counterpart")
  }

  /// The value of a call, for the few that have a plain one.
  private func called(
    _ callee: String, _ arguments: [Int], depth: Int, _ visits: inout Visits
  ) throws(ConversionError) -> Tree {
    switch callee {
    case "builtins.complex":
      if arguments.count == 2, case .double(let real) = nodes[arguments[0]],
        case .double(let imaginary) = nodes[arguments[1]]
      {
        return .opaque(.complex(real, imaginary))
      }
    case "collections.OrderedDict" where arguments.isEmpty: return .dictionary([], ordered: true)
    case "builtins.set" where arguments.count == 1, "builtins.frozenset" where arguments.count == 1:
      if case .list(let items) = nodes[arguments[0]] { return .set(try trees(items, depth: depth, &visits)) }
    case "torch.Size" where arguments.count == 1:
      if case .tuple(let items) = nodes[arguments[0]] { return .tuple(try trees(items, depth: depth, &visits)) }
    case "torch.device":
      if let first = arguments.first, case .string(let type) = nodes[first] {
        if arguments.count == 1 { return .opaque(.device(type, nil)) }
        if arguments.count == 2, case .int(let index) = nodes[arguments[1]] { return .opaque(.device(type, index)) }
      }
    case "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar":
      if let number = numpyScalar(arguments) { return number.tree() }
    default: break
    }
    throw unexpected(callee, in: visits.name)
  }

  /// A numpy scalar: a dtype such as `f4`, whose state begins with a version and the byte order, and the bytes.
  private func numpyScalar(_ arguments: [Int]) -> HDF5Number? {
    guard arguments.count == 2, case .bytes(let bytes) = nodes[arguments[1]],
      case .call("numpy.dtype", let dtypeArguments, let stateNode) = nodes[arguments[0]],
      let code = dtypeArguments.first, case .string(let code) = nodes[code]
    else { return nil }
    let dtype: DType
    switch code {
    case "b1", "?": dtype = .bool
    case "i1": dtype = .int8
    case "i2": dtype = .int16
    case "i4": dtype = .int32
    case "i8": dtype = .int64
    case "u1": dtype = .uint8
    case "u2": dtype = .uint16
    case "u4": dtype = .uint32
    case "u8": dtype = .uint64
    case "f2": dtype = .float16
    case "f4": dtype = .float32
    case "f8": dtype = .float64
    default: return nil
    }
    var bigEndian = false
    if let stateNode, case .tuple(let state) = nodes[stateNode], state.count > 1,
      case .string(let order) = nodes[state[1]]
    {
      bigEndian = order == ">"
    }
    guard bytes.count == dtype.size else { return nil }
    return HDF5Number(bytes[...], dtype: dtype, bigEndian: bigEndian)
  }

  // MARK: TreeSpec

  private func pytree(_ index: Int, depth: Int, _ visits: inout Visits) throws(ConversionError) -> Pytree {
    try visits.enter(depth: depth)
    guard case .call(let callee, _, let stateNode?) = nodes[index], callee.hasPrefix("torch.utils._pytree."),
      let state = attributes(stateNode)
    else { throw ConversionError(.unreadableInput, "\(visits.name) is no TreeSpec") }
    var children: [Pytree] = []
    if let specs = state["children_specs"], case .list(let items) = nodes[specs] {
      for item in items { children.append(try pytree(item, depth: depth + 1, &visits)) }
    }
    guard callee.hasSuffix(".TreeSpec"), let type = state["type"], case .global(let type) = nodes[type] else {
      guard children.isEmpty else {
        throw ConversionError(.unreadableInput, "\(visits.name) holds a leaf with children")
      }
      return .leaf
    }
    switch type {
    case "builtins.list": return .list(children)
    case "builtins.tuple": return .tuple(children)
    case "builtins.set": return .set(children)
    case "builtins.str", "builtins.int", "builtins.float", "builtins.bool": throw unexpected(type, in: visits.name)
    default:
      // dict, OrderedDict, and TensorScalarDict, a dict of old releases.
      guard let context = state["context"], case .list(let items) = nodes[context], items.count == children.count
      else { throw ConversionError(.unreadableInput, "\(visits.name) holds a dictionary without its keys") }
      var keys: [Pytree.Tree.Key] = []
      for item in items { keys.append(try key(item, name: visits.name)) }
      guard Set(keys).count == keys.count else {
        throw ConversionError(.hostileInput, "\(visits.name) holds a dictionary key twice")
      }
      return .dictionary(keys, children, ordered: type == "collections.OrderedDict")
    }
  }

  /// The attributes of an object: its state as a dictionary of strings.
  private func attributes(_ index: Int) -> [String: Int]? {
    guard case .dictionary(let pairs) = nodes[index] else { return nil }
    var attributes: [String: Int] = [:]
    for pair in pairs {
      if case .string(let name) = nodes[pair.key] { attributes[name] = pair.value }
    }
    return attributes
  }
}
