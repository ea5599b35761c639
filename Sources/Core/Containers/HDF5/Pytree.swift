/// The nesting of a checkpoint without its leaves, as torch's `TreeSpec` describes it.
indirect enum Pytree: Sendable, Hashable {
  /// The tree that readers fill.
  typealias Tree = ObjectTree<TensorDescriptor>

  /// Where a value goes.
  case leaf
  /// A `dict` or an `OrderedDict`; as many children as keys.
  case dictionary([Tree.Key], [Pytree], ordered: Bool)
  case list([Pytree])
  case tuple([Pytree])
  case set([Pytree])

  /// The tree with a value for each leaf, asked for in depth-first order by its key: dictionary keys and positions
  /// joined with dots, as `cstorch.save` names leaves.
  ///
  /// Recursion is as deep as the tree, which parsers bound by `Limits.nesting`. Complexity: O(nodes).
  func fill(
    path: String? = nil, _ value: (String) throws(ConversionError) -> Tree
  ) throws(ConversionError) -> Tree {
    func below(_ name: String) -> String { path.map { "\($0).\(name)" } ?? name }
    func each(_ children: [Pytree]) throws(ConversionError) -> [Tree] {
      var filled: [Tree] = []
      filled.reserveCapacity(children.count)
      for (index, child) in children.enumerated() {
        filled.append(try child.fill(path: below("\(index)"), value))
      }
      return filled
    }
    switch self {
    case .leaf: return try value(path ?? "")
    case .list(let children): return .list(try each(children))
    case .tuple(let children): return .tuple(try each(children))
    case .set(let children): return .set(try each(children))
    case .dictionary(let keys, let children, let ordered):
      var entries: [Tree.Entry] = []
      entries.reserveCapacity(keys.count)
      for (key, child) in zip(keys, children) {
        entries.append(.init(key, try child.fill(path: below(key.pytreeName), value)))
      }
      return .dictionary(entries, ordered: ordered)
    }
  }
}

extension ObjectTree.Key {
  /// Python's `str()` of the key, which is its part of the key of a leaf.
  var pytreeName: String {
    if case .double(let number) = self { return PythonFloat.repr(number) }
    return description
  }
}
