import OrderedCollections

/// A state dict cut into files, in the order of its keys.
///
/// A file takes tensors until the next one would exceed the limit, as `save_pretrained` of transformers cuts; a tensor that is
/// larger than the limit has a file of its own. Tied tensors are written in each file that names them.
struct Sharding {
  /// The part of the tree that each file holds.
  let trees: [ObjectTree<Int>]
  /// Keys of each file.
  private let keys: [[String]]
  private let byteCount: Int

  /// Cuts the tree of a plan, or the part of it that is a component. Throws `.usage` when there would be more than
  /// `limits.outputShards` files.
  ///
  /// Complexity: O(tensors).
  init(
    _ tree: ObjectTree<Int>, of plan: Plan, limit: Int, limits: Limits = .standard
  ) throws(ConversionError) {
    guard case .dictionary(let entries, _) = tree else {
      throw ConversionError(.internal, "only a dictionary of tensors is cut into shards")
    }
    let sizes = entries.map { entry in
      var size = 0
      entry.value.forEachLeaf { _, leaf in
        if case .tensor(let index) = leaf { size += plan.tensors[index].tensor.byteCount }
      }
      return size
    }
    byteCount = sizes.saturatingSum()
    let groups = Self.cut(sizes, limit: limit).map { entries[$0] }
    guard groups.count <= limits.outputShards else {
      throw ConversionError(
        .usage,
        "A max_shard_size of \(limit) bytes makes \(groups.count) files of \(byteCount) bytes of tensors; at most "
          + "\(limits.outputShards) are written. Choose a larger size.")
    }
    trees = groups.map { .dictionary(Array($0), ordered: true) }
    keys = groups.map { $0.map(\.key.description) }
  }

  /// The ranges of tensors that go into a file each; at least one. Complexity: O(tensors).
  static func cut(_ sizes: [Int], limit: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    var filled = 0
    for (position, size) in sizes.enumerated() {
      if filled > 0, filled + size > limit {
        ranges.append(start..<position)
        start = position
        filled = 0
      }
      filled += size
    }
    return ranges + [start..<sizes.count]
  }

  /// The index that `from_pretrained` reads, with the name of each file in the order of `trees`.
  ///
  /// Source: `save_pretrained` in transformers' modeling_utils.py, and what the Model Zoo tool writes.
  func index(names: [String]) -> ConfigObject {
    var map = ConfigObject()
    for (name, keys) in zip(names, keys) { for key in keys { map[key] = .string(name) } }
    return ["metadata": ["total_size": .int(byteCount)], "weight_map": .object(map)]
  }
}
