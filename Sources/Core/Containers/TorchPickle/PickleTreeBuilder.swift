/// Turns the heap of a pickle machine into an `ObjectTree`.
///
/// Two passes over the nodes that the root reaches, both iterative. The first finds cycles, nesting, and how many
/// values the tree holds when each shared part is counted wherever it stands, so that a small pickle cannot expand into
/// a huge tree. The second makes each node's tree once; shared parts share memory.
struct PickleTreeBuilder {
  private let heap: PickleHeap
  private let name: String
  private let limits: Limits
  /// For each node: 0 unseen, -1 being measured, else 1 + nesting.
  private var heights: [Int32]
  private var weights: [Int]
  /// Nodes in an order in which children come before parents.
  private var order: [Int] = []

  /// A builder for the nodes of one pickle.
  init(heap: PickleHeap, name: String, limits: Limits) {
    self.heap = heap
    self.name = name
    self.limits = limits
    heights = Array(repeating: 0, count: heap.nodes.count)
    weights = Array(repeating: 0, count: heap.nodes.count)
  }

  /// The tree of a value. Throws `.hostileInput` for cycles and whatever exceeds a limit.
  mutating func build(_ root: PickleValue) throws(ConversionError) -> PickleTree {
    if case .node(let index) = root { try measure(index) }
    var trees = [PickleTree](repeating: .none, count: heap.nodes.count)
    var pacer = Interruption.Pacer()
    for index in order {
      try pacer.step()
      trees[index] = try tree(heap.nodes[index], trees)
    }
    return try tree(root, trees)
  }

  // MARK: Measuring

  private mutating func measure(_ root: Int) throws(ConversionError) {
    var path: [(node: Int, next: Int)] = [(root, 0)]
    heights[root] = -1
    var pacer = Interruption.Pacer()
    while let (node, next) = path.last {
      try pacer.step()
      let children = heap.nodes[node].items
      guard next < children.count else {
        try close(node, children)
        path.removeLast()
        continue
      }
      path[path.count - 1].next += 1
      guard case .node(let child) = children[next] else { continue }
      if heights[child] < 0 { throw hostile("a value of the pickle contains itself") }
      guard heights[child] == 0 else { continue }
      guard path.count < limits.nesting else { throw tooDeep() }
      heights[child] = -1
      path.append((child, 0))
    }
  }

  /// Adds up a node whose children are all measured.
  private mutating func close(_ node: Int, _ children: [PickleValue]) throws(ConversionError) {
    var height: Int32 = 1
    var weight = 1
    for child in children {
      if case .node(let index) = child { height = max(height, heights[index] + 1) }
      weight += self.weight(child)
      guard weight <= limits.treeNodes else {
        throw hostile("the pickle expands to more than \(limits.treeNodes) values")
      }
    }
    guard height <= limits.nesting else { throw tooDeep() }
    heights[node] = height
    weights[node] = weight
    order.append(node)
  }

  /// How much a value counts; long strings count for what they would take when written out each time.
  private func weight(_ value: PickleValue) -> Int {
    switch value {
    case .node(let index): weights[index]
    case .string(let text), .longInt(let text): 1 + text.utf8.count / 64
    case .bytes(let bytes): 1 + bytes.count / 64
    default: 1
    }
  }

  // MARK: Building

  private func tree(_ value: PickleValue, _ trees: [PickleTree]) throws(ConversionError) -> PickleTree {
    switch value {
    case .none: .none
    case .bool(let flag): .bool(flag)
    case .int(let number): .int(number)
    case .longInt(let digits): .longInt(digits)
    case .double(let number): .double(number)
    case .string(let text): .string(text)
    case .bytes(let bytes): .bytes(bytes)
    case .opaque(let opaque): .opaque(opaque)
    case .global(.dtype(let name)): .opaque(.dtype("torch.\(name)"))
    case .node(let index): trees[index]
    case .global(.plainClass(let name)): .string(name)
    case .global(let global): throw hostile("the pickle holds the bare name \(global) as a value")
    case .storage(let storage):
      throw ConversionError(
        .unreadableInput, "\(name): storage \(storage.key) is saved bare; save a tensor instead")
    }
  }

  private func tree(_ node: PickleNode, _ trees: [PickleTree]) throws(ConversionError) -> PickleTree {
    func all(_ values: [PickleValue]) throws(ConversionError) -> [PickleTree] {
      var result: [PickleTree] = []
      result.reserveCapacity(values.count)
      for value in values { result.append(try tree(value, trees)) }
      return result
    }
    switch node.kind {
    case .list: return .list(try all(node.items))
    case .tuple: return .tuple(try all(node.items))
    case .set: return .set(try all(node.items))
    case .tensor(let tensor): return .tensor(tensor)
    case .dictionary(let ordered): return .dictionary(try entries(node.items, trees), ordered: ordered)
    case .numpyDType(let type): return .opaque(.dtype("torch.\(type.dtype.rawValue)"))
    case .object: return node.items.count == 1 ? try tree(node.items[0], trees) : .tuple(try all(node.items))
    case .unfilledArray: throw hostile("the pickle has a numpy array without content")
    }
  }

  /// The entries of a dictionary. As in Python, a key that is set again keeps its place and takes the new value.
  private func entries(
    _ values: [PickleValue], _ trees: [PickleTree]
  ) throws(ConversionError) -> [PickleTree.Entry] {
    var entries: [PickleTree.Entry] = []
    entries.reserveCapacity(values.count / 2)
    var places: [PickleTree.Key: Int] = [:]
    places.reserveCapacity(values.count / 2)
    var pacer = Interruption.Pacer()
    for index in stride(from: 0, to: values.count - 1, by: 2) {
      try pacer.step()
      guard let key = Self.key(try tree(values[index], trees)) else {
        throw hostile("a dictionary of the pickle has a key that is neither text nor number nor a tuple of these")
      }
      let entry = PickleTree.Entry(key, try tree(values[index + 1], trees))
      if let place = places[key] {
        try requireSameText(key, entries[place].key)
        entries[place] = entry
      } else {
        places[key] = entries.count
        entries.append(entry)
      }
    }
    return entries
  }

  /// Swift holds texts equal that differ only in how accents are composed; Python does not. Such a pair of keys would
  /// be one key from here on, and a tensor would be lost, so it is refused.
  private func requireSameText(_ key: PickleTree.Key, _ other: PickleTree.Key) throws(ConversionError) {
    guard key.description.utf8.elementsEqual(other.description.utf8) else {
      throw hostile("two keys differ only in their Unicode normal form: '\(key.description.prefix(200))'")
    }
  }

  private static func key(_ tree: PickleTree) -> PickleTree.Key? {
    switch tree {
    case .string(let text): return .string(text)
    case .int(let number): return .int(number)
    case .bool(let flag): return .bool(flag)
    case .double(let number): return .double(number)
    case .none: return PickleTree.Key.none
    case .tuple(let items):
      var keys: [PickleTree.Key] = []
      for item in items {
        guard let key = key(item) else { return nil }
        keys.append(key)
      }
      return .tuple(keys)
    default: return nil
    }
  }

  private func tooDeep() -> ConversionError { hostile("the pickle is nested more than \(limits.nesting) deep") }

  private func hostile(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(name): \(message)")
  }
}
