/// Assigns the tensors of a plan to storages of outputs: equal expressions share one where the container can.
struct OutputLayout {
  /// What each sink is asked to write.
  private(set) var sinks: [SinkLayout] = []
  /// What each storage is made from, sink after sink.
  private(set) var jobs: [Executor.Job] = []

  /// `trees` are the parts of the plan's tree that go into a file each. Throws nothing but `.cancelled`.
  /// Complexity: O(tensors).
  init(_ plan: Plan, trees: [ObjectTree<Int>], sharing: Bool) throws(ConversionError) {
    for tree in trees { try add(tree, of: plan, sharing: sharing) }
  }

  private mutating func add(_ tree: ObjectTree<Int>, of plan: Plan, sharing: Bool) throws(ConversionError) {
    var pacer = Interruption.Pacer()
    var storages: [(first: Plan.Tensor, tensorCount: Int)] = []
    var known: [Content: Int] = [:]
    let output = try tree.mapTensors { (index) throws(ConversionError) in
      try pacer.step()
      let tensor = plan.tensors[index].tensor
      let content = Content(expression: tensor.expression, dtype: tensor.dtype)
      let storage: Int
      if sharing, let found = known[content] {
        storage = found
        storages[storage].tensorCount += 1
      } else {
        storage = storages.count
        known[content] = storage
        storages.append((plan.tensors[index], 1))
      }
      return OutputTensor(dtype: tensor.dtype, shape: tensor.shape, storage: storage)
    }
    for (index, storage) in storages.enumerated() {
      try pacer.step()
      jobs.append(
        Executor.Job(
          key: storage.first.key, tensor: storage.first.tensor,
          lowered: LoweredTensor(
            storage.first.tensor.expression, dtype: storage.first.tensor.dtype, descriptors: plan.sources),
          sink: sinks.count, storage: index, tensorCount: storage.tensorCount))
    }
    var release: Release?
    if case .cs(let target) = plan.route.target { release = target }
    sinks.append(
      SinkLayout(tree: output, storages: storages.map(\.first.tensor.byteCount), release: release))
  }

  private struct Content: Hashable {
    let expression: TensorExpression
    let dtype: DType
  }
}
