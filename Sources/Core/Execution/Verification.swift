import Glibc
import Synchronization

/// Compares written files with the plan they were made from: opens them as any reader would, and computes every tensor
/// again.
///
/// Memory: the budget of the executor, as for writing.
struct Verification {
  let source: any TensorSource
  let budget: Executor.Budget
  let progress: PhaseProgress

  /// A tensor that was written and what it should be.
  private struct Pair: Sendable {
    let key: String
    let written: LoweredTensor
    let planned: LoweredTensor
    let dtype: DType
    let shape: [Int]
  }

  /// Checks one file against the part of the plan that it holds.
  ///
  /// Throws `.internal` when a tensor is missing, too much, of another type or shape, or differs in any bit; what the
  /// source throws when it cannot be read; or `.cancelled`.
  func check(_ file: StagedFile, holds tree: ObjectTree<Int>, of plan: Plan) throws(ConversionError) {
    let reopened: any TensorSource
    do throws(ConversionError) { reopened = try Checkpoint.open(path: file.stagedPath) } catch {
      try Interruption.check()
      throw failure(file, "cannot be opened again", cause: error.message)
    }
    let pairs = try pairs(reopened, file, tree, plan)
    let next = Atomic<Int>(0)
    let found = Mutex<ConversionError?>(nil)
    WorkerThreads.run(count: min(budget.threads, max(pairs.count, 1))) {
      // A tile and its scratch, for what was written and for what was planned.
      let planned = TileEvaluator(source: source, scratchBytes: budget.tileBytes)
      let written = TileEvaluator(source: reopened, scratchBytes: budget.tileBytes / 2)
      let tiles = UnsafeMutableRawBufferPointer.allocate(byteCount: budget.tileBytes, alignment: 64)
      defer { tiles.deallocate() }
      while found.withLock({ $0 == nil }) {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < pairs.count else { return }
        do throws(ConversionError) {
          guard try isEqual(pairs[index], written, planned, tiles) else {
            throw failure(file, "does not hold what was planned for '\(pairs[index].key)'")
          }
        } catch {
          found.withLock { if $0 == nil { $0 = error } }
        }
      }
    }
    if let error = found.withLock({ $0 }) { throw error }
  }

  /// Each tensor of the file with its place in the plan.
  private func pairs(
    _ reopened: any TensorSource, _ file: StagedFile, _ tree: ObjectTree<Int>, _ plan: Plan
  ) throws(ConversionError) -> [Pair] {
    var planned: [(path: String, index: Int)] = []
    tree.forEachLeaf { path, leaf in if case .tensor(let index) = leaf { planned.append((path, index)) } }
    var written: [(path: String, tensor: TensorDescriptor)] = []
    reopened.tree.forEachLeaf { path, leaf in if case .tensor(let tensor) = leaf { written.append((path, tensor)) } }
    // Containers may keep another order of keys.
    planned.sort { $0.path < $1.path }
    written.sort { $0.path < $1.path }
    guard planned.map(\.path) == written.map(\.path) else {
      throw failure(file, "holds \(written.count) tensors, not the \(planned.count) that were planned")
    }
    var pairs: [Pair] = []
    var pacer = Interruption.Pacer()
    for (planned, written) in zip(planned, written) {
      try pacer.step()
      let tensor = plan.tensors[planned.index].tensor
      guard tensor.dtype == written.tensor.dtype, tensor.shape == written.tensor.shape else {
        throw failure(file, "holds '\(planned.path)' with another type or shape than was planned")
      }
      pairs.append(
        Pair(
          key: planned.path,
          written: LoweredTensor(.source(""), dtype: tensor.dtype, descriptors: ["": written.tensor]),
          planned: LoweredTensor(tensor.expression, dtype: tensor.dtype, descriptors: plan.sources),
          dtype: tensor.dtype, shape: tensor.shape))
    }
    return pairs
  }

  /// Compares a tensor tile by tile, each half as large as the buffer.
  private func isEqual(
    _ pair: Pair, _ written: TileEvaluator, _ planned: TileEvaluator, _ tiles: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) -> Bool {
    let half = tiles.count / 2 / 64 * 64
    guard let first = tiles.baseAddress else { return false }
    let second = first + half
    let size = pair.dtype.size
    var isEqual = true
    try Tiling.forEachTile(of: pair.shape, elements: max(half / size, 1)) { box throws(ConversionError) in
      guard isEqual else { return }
      if progress.monitor.isCancelled { throw ConversionError.cancelled }
      let strides = TensorShape.contiguousStrides(box.count)
      try written.evaluate(pair.written, box, into: .init(pointer: first, strides: strides, elementSize: size))
      try planned.evaluate(pair.planned, box, into: .init(pointer: second, strides: strides, elementSize: size))
      let count = box.count.reduce(size, *)
      isEqual = memcmp(first, second, count) == 0
      progress.advance(count)
    }
    return isEqual
  }

  private func failure(_ file: StagedFile, _ what: String, cause: String? = nil) -> ConversionError {
    ConversionError(
      .internal, "\(file.name) \(what). Nothing was published; this is a fault of Zooport or of the disk.", cause: cause
    )
  }
}
