import Glibc
import Synchronization

/// Compares two checkpoints of any container: names, types, shapes and values.
///
/// An entry is a tensor or another value, by its path: dictionary keys and list positions joined with dots. Containers may
/// keep another order of entries or turn tuples into lists; neither is a difference.
package struct CheckpointComparison: Sendable {
  /// How far values of two tensors may be apart: `|left - right| <= absolute + relative * |right|`, computed in double, as
  /// `torch.allclose`; but two NaN are equal.
  package struct Tolerance: Sendable, Hashable {
    /// Largest difference relative to the right value.
    package var relative: Double
    /// Largest absolute difference.
    package var absolute: Double

    /// A tolerance. Default: that of `torch.allclose`.
    package init(relative: Double = 1e-5, absolute: Double = 1e-8) {
      self.relative = relative
      self.absolute = absolute
    }
  }

  /// What is compared how.
  package struct Options: Sendable {
    /// What values may differ; nil demands equal bits.
    package var tolerance: Tolerance?
    /// Bytes of all buffers together.
    package var memoryBudget = 64 << 20
    /// Threads that read and compare.
    package var threads = 2

    package init() {}

    fileprivate var memory: MemoryPlan { MemoryPlan(bytes: memoryBudget, threads: threads) }
  }

  /// A tensor without its values, or another value.
  package typealias Leaf = ObjectTree<TensorDescriptor>

  /// An entry that is not the same in both.
  package struct Difference: Sendable {
    /// In what an entry differs.
    package enum Kind: Sendable, Hashable {
      /// The right checkpoint has no such entry.
      case onlyLeft
      /// The left checkpoint has no such entry.
      case onlyRight
      /// Two tensors of unequal element types.
      case dtype
      /// Two tensors of unequal shapes.
      case shape
      /// Tensors of one type and shape: how many elements differ, the index of the first, and the largest difference, nil
      /// when it involves infinity or NaN.
      case elements(differing: Int, of: Int, first: [Int], largest: Double?)
      /// Two values that are not both tensors.
      case value
    }

    /// The path of the entry.
    package let key: String
    /// In what it differs.
    package let kind: Kind
    /// The left entry; nil when there is none.
    package let left: Leaf?
    /// The right entry; nil when there is none.
    package let right: Leaf?
  }

  /// The entries that differ, in the order of their keys.
  package let differences: [Difference]
  /// Tensors that both have.
  package let tensors: Int
  /// Other values that both have.
  package let others: Int

  /// True when no entry differs.
  package var isSame: Bool { differences.isEmpty }

  /// Compares two checkpoints, each one a file, a shard index, or a folder.
  ///
  /// Blocks the calling thread and uses `options.threads` more. Memory: the budget, and the names of the entries. Throws
  /// what opening and reading throw, or `.cancelled` soon after `isCancelled` becomes true.
  package init(
    left: String, right: String, options: Options = Options(), isCancelled: @escaping @Sendable () -> Bool = { false }
  ) throws(ConversionError) {
    let cacheBytes = options.memory.cacheBytes / 2
    let (first, second) = try Interruption.heeding(isCancelled) { () throws(ConversionError) in
      (
        try CheckpointInput(paths: [left], cacheBytes: cacheBytes).source,
        try CheckpointInput(paths: [right], cacheBytes: cacheBytes).source
      )
    }
    let entries = Self.pairs(first.tree, second.tree)
    var differences: [Difference?] = []
    var compared: [(entry: Int, left: TensorDescriptor, right: TensorDescriptor)] = []
    var (tensors, others) = (0, 0)
    for (index, entry) in entries.enumerated() {
      func differs(_ kind: Difference.Kind) -> Difference {
        Difference(key: entry.key, kind: kind, left: entry.left, right: entry.right)
      }
      var difference: Difference?
      switch (entry.left, entry.right) {
      case (nil, _): difference = differs(.onlyRight)
      case (_, nil): difference = differs(.onlyLeft)
      case (.tensor(let left)?, .tensor(let right)?):
        tensors += 1
        if left.dtype != right.dtype {
          difference = differs(.dtype)
        } else if left.shape != right.shape {
          difference = differs(.shape)
        } else {
          compared.append((index, left, right))
        }
      case (let left?, let right?):
        others += 1
        if !Self.isSame(left, right) { difference = differs(.value) }
      }
      differences.append(difference)
    }
    let comparer = TensorComparer(left: first, right: second, options: options, isCancelled: isCancelled)
    let found = try comparer.compare(compared.map { ($0.left, $0.right) })
    for (pair, kind) in zip(compared, found) {
      guard let kind else { continue }
      let entry = entries[pair.entry]
      differences[pair.entry] = Difference(key: entry.key, kind: kind, left: entry.left, right: entry.right)
    }
    self.differences = differences.compactMap { $0 }
    self.tensors = tensors
    self.others = others
  }

  /// Numbers are the same when their bits are: NaN is NaN.
  private static func isSame(_ left: Leaf, _ right: Leaf) -> Bool {
    if case .double(let first) = left, case .double(let second) = right { return first.bitPattern == second.bitPattern }
    return left == right
  }

  /// The entries of both trees by their keys, sorted. Of two entries with one path, such as `a.b` and `b` in `a`, each has
  /// its counterpart in their order.
  private static func pairs(_ left: Leaf, _ right: Leaf) -> [(key: String, left: Leaf?, right: Leaf?)] {
    func leaves(_ tree: Leaf) -> [(key: String, leaf: Leaf)] {
      var leaves: [(key: String, leaf: Leaf)] = []
      tree.forEachLeaf { leaves.append(($0, $1)) }
      // Stable: entries with one path stay in their order.
      return leaves.enumerated().sorted { ($0.element.key, $0.offset) < ($1.element.key, $1.offset) }.map(\.element)
    }
    let (left, right) = (leaves(left), leaves(right))
    var pairs: [(key: String, left: Leaf?, right: Leaf?)] = []
    var (i, j) = (0, 0)
    while i < left.count || j < right.count {
      if j == right.count || i < left.count && left[i].key < right[j].key {
        pairs.append((left[i].key, left[i].leaf, nil))
        i += 1
      } else if i == left.count || right[j].key < left[i].key {
        pairs.append((right[j].key, nil, right[j].leaf))
        j += 1
      } else {
        pairs.append((left[i].key, left[i].leaf, right[j].leaf))
        i += 1
        j += 1
      }
    }
    return pairs
  }
}

/// Compares pairs of tensors of equal types and shapes, tile by tile.
private struct TensorComparer: Sendable {
  let left: any TensorSource
  let right: any TensorSource
  let options: CheckpointComparison.Options
  let isCancelled: @Sendable () -> Bool

  /// The difference of each pair; nil when there is none.
  func compare(
    _ pairs: [(TensorDescriptor, TensorDescriptor)]
  ) throws(ConversionError) -> [CheckpointComparison.Difference.Kind?] {
    let budget = options.memory.tiles
    let next = Atomic<Int>(0)
    let failure = Mutex<ConversionError?>(nil)
    let found = Mutex([CheckpointComparison.Difference.Kind?](repeating: nil, count: pairs.count))
    WorkerThreads.run(count: min(budget.threads, max(pairs.count, 1))) {
      let first = TileEvaluator(source: left, scratchBytes: budget.tileBytes / 2)
      let second = TileEvaluator(source: right, scratchBytes: budget.tileBytes / 2)
      let tiles = UnsafeMutableRawBufferPointer.allocate(byteCount: budget.tileBytes, alignment: 64)
      defer { tiles.deallocate() }
      while failure.withLock({ $0 == nil }) {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < pairs.count else { return }
        do throws(ConversionError) {
          let difference = try difference(pairs[index].0, pairs[index].1, first, second, tiles)
          found.withLock { $0[index] = difference }
        } catch {
          failure.withLock { if $0 == nil { $0 = error } }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return found.withLock { $0 }
  }

  private func difference(
    _ first: TensorDescriptor, _ second: TensorDescriptor, _ left: TileEvaluator, _ right: TileEvaluator,
    _ tiles: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> CheckpointComparison.Difference.Kind? {
    let half = tiles.count / 2 / 64 * 64
    guard let leftTile = tiles.baseAddress else { return nil }
    let rightTile = leftTile + half
    let (dtype, shape) = (first.dtype, first.shape)
    let leftTensor = LoweredTensor(.source(""), dtype: dtype, descriptors: ["": first])
    let rightTensor = LoweredTensor(.source(""), dtype: dtype, descriptors: ["": second])
    let comparison = ElementComparison(tolerance: options.tolerance)
    var total = ElementComparison.Outcome()
    var done = 0
    try Tiling.forEachTile(of: shape, elements: max(half / dtype.size, 1)) { box throws(ConversionError) in
      if isCancelled() { throw ConversionError.cancelled }
      let strides = TensorShape.contiguousStrides(box.count)
      let count = box.count.reduce(1, *)
      try left.evaluate(
        leftTensor, box, into: .init(pointer: leftTile, strides: strides, elementSize: dtype.size))
      try right.evaluate(
        rightTensor, box, into: .init(pointer: rightTile, strides: strides, elementSize: dtype.size))
      defer { done += count }
      if memcmp(leftTile, rightTile, count * dtype.size) == 0 { return }
      let outcome = comparison.compare(leftTile, rightTile, dtype, count: count)
      total.differing += outcome.differing
      // Tiles follow one another in row-major order.
      if total.first == nil { total.first = outcome.first.map { done + $0 } }
      total.largest = max(total.largest, outcome.largest)
      total.isUnbounded = total.isUnbounded || outcome.isUnbounded
    }
    guard let position = total.first else { return nil }
    let index = zip(shape, TensorShape.contiguousStrides(shape)).map { position / $1 % $0 }
    return .elements(
      differing: total.differing, of: done, first: index, largest: total.isUnbounded ? nil : total.largest)
  }
}
