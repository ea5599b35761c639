/// Assigns the tensors of a plan to storages of an output: equal expressions share one where the container can.
struct OutputLayout {
  /// What the sink is asked to write.
  let sink: SinkLayout
  /// What each storage is made from, by storage.
  let jobs: [Executor.Job]

  /// Complexity: O(tensors). Precondition: the plan has a tree.
  init(_ plan: Plan, sharing: Bool) {
    var storageOfTensor: [Int] = []
    var storages: [(tensor: SymbolicTensor, tensorCount: Int)] = []
    var known: [Content: Int] = [:]
    for planned in plan.tensors {
      let content = Content(expression: planned.tensor.expression, dtype: planned.tensor.dtype)
      if sharing, let storage = known[content] {
        storageOfTensor.append(storage)
        storages[storage].tensorCount += 1
        continue
      }
      known[content] = storages.count
      storageOfTensor.append(storages.count)
      storages.append((planned.tensor, 1))
    }
    let tree = plan.tree ?? .dictionary([], ordered: true)
    sink = SinkLayout(
      tree: tree.mapTensors { index in
        let tensor = plan.tensors[index].tensor
        return OutputTensor(dtype: tensor.dtype, shape: tensor.shape, storage: storageOfTensor[index])
      },
      storages: storages.map { $0.tensor.byteCount })
    jobs = storages.map { storage in
      Executor.Job(
        tensor: storage.tensor,
        lowered: LoweredTensor(storage.tensor.expression, dtype: storage.tensor.dtype, descriptors: plan.sources),
        tensorCount: storage.tensorCount)
    }
  }

  private struct Content: Hashable {
    let expression: TensorExpression
    let dtype: DType
  }
}
