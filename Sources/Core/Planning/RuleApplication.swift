/// One instance of a rule that maps tensors, applied in one direction.
struct RuleApplication {
  let rule: Rule
  let transform: TensorTransform
  let instance: StateDictPlanner.Instance
  let from: Side
  let context: RuleContext

  /// What is written, by key. Throws when the tensors do not fit the transform.
  func results() throws(RuleFailure) -> [(key: String, value: StateDict.Value)] {
    let targets = rule.claims(from.other).map { $0.fill(instance.binding) }
    switch transform {
    case .rename: return moved(to: targets) { $0 }
    case .transposeMatrix: return moved(to: targets) { $0.matrixTransposed }
    case .rotate(let pairs):
      return try moved(to: targets) { (tensor) throws(RuleFailure) in
        try from == .left ? pairs.interleave(tensor, context) : pairs.separate(tensor, context)
      }
    case .roll(let distance):
      return try moved(to: targets) { (tensor) throws(RuleFailure) in
        try rolled(tensor, by: from == .left ? distance : -distance)
      }
    case .offset(let number):
      return moved(to: targets) { $0.mapped(from == .left ? .add(number) : .subtract(number)) }
    case .pack(let packing):
      let operands = try tensors(try complete())
      if from == .left {
        let parts = try packing.unpack(operands[0], into: targets.count, context)
        return zip(targets, parts).map { ($0, .tensor($1)) }
      }
      return [(targets[0], .tensor(try packing.pack(operands, context)))]
    case .stack(let hole, let count): return try stacked(over: hole, count: try context.length(count))
    case .repeated(_, let hole, _):
      guard instance.binding[hole] == "0", let value = instance.values.first ?? nil else { return [] }
      return [(targets[0], value.value)]
    case .custom(let custom):
      let values = instance.values.map { $0?.value }
      let results = try from == .left ? custom.forward(values, context) : custom.backward(values, context)
      return zip(targets, results).compactMap { key, value in value.map { (key, $0) } }
    }
  }

  /// The first value that is there, under all targets; what is no tensor stays as it is.
  private func moved(
    to targets: [String], _ change: (SymbolicTensor) throws(RuleFailure) -> SymbolicTensor
  ) throws(RuleFailure) -> [(key: String, value: StateDict.Value)] {
    guard let value = instance.values.lazy.compactMap({ $0?.value }).first else { return [] }
    let changed: StateDict.Value
    if let tensor = value.tensor { changed = .tensor(try change(tensor)) } else { changed = value }
    return targets.map { ($0, changed) }
  }

  private func moved(
    to targets: [String], _ change: (SymbolicTensor) -> SymbolicTensor
  ) -> [(key: String, value: StateDict.Value)] {
    guard let value = instance.values.lazy.compactMap({ $0?.value }).first else { return [] }
    let changed = value.tensor.map { StateDict.Value.tensor(change($0)) } ?? value
    return targets.map { ($0, changed) }
  }

  /// All the values. Throws when some are missing, naming them.
  private func complete() throws(RuleFailure) -> [StateDict.Value] {
    let missing = zip(rule.claims(from), instance.values).filter { $0.1 == nil }.map {
      "'\($0.0.fill(instance.binding))'"
    }
    guard missing.isEmpty else {
      throw RuleFailure("expected the following keys to exist: \(missing.joined(separator: ", "))")
    }
    return instance.values.compactMap { $0?.value }
  }

  private func tensors(_ values: [StateDict.Value]) throws(RuleFailure) -> [SymbolicTensor] {
    let tensors = values.compactMap(\.tensor)
    guard tensors.count == values.count else {
      throw RuleFailure("a tensor is needed here, but the checkpoint holds None or another value")
    }
    return tensors
  }

  /// The rows moved on by so many, in a circle.
  private func rolled(_ tensor: SymbolicTensor, by distance: Int) throws(RuleFailure) -> SymbolicTensor {
    guard let rows = tensor.shape.first, rows > 0 else { throw RuleFailure("shape \(tensor.shape) has no rows") }
    let start = ((-distance % rows) + rows) % rows
    do throws(SymbolicTensor.ShapeError) {
      if start == 0 { return tensor }
      return try .concatenated(
        [try tensor.sliced(axis: 0, start..<rows), try tensor.sliced(axis: 0, 0..<start)], axis: 0)
    } catch { throw RuleFailure(error.message) }
  }

  /// Matrices `[rows, columns]` by number on the left, one tensor `[rows, count, columns]` on the right.
  private func stacked(over hole: String, count: Int) throws(RuleFailure) -> [(key: String, value: StateDict.Value)] {
    do throws(SymbolicTensor.ShapeError) {
      if from == .left {
        let found = Dictionary(zip(instance.numbers, instance.values), uniquingKeysWith: { first, _ in first })
        var layers: [SymbolicTensor] = []
        for number in 0..<count {
          guard let tensor = (found[number] ?? nil)?.value.tensor, tensor.shape.count == 2 else {
            let key = rule.left[0].fill(instance.binding.with(hole, "\(number)"))
            throw SymbolicTensor.ShapeError(
              message: "'\(key)' is missing or is no matrix; the config says that there are \(count)")
          }
          layers.append(try tensor.reshaped([tensor.shape[0], 1, tensor.shape[1]]))
        }
        if let spare = instance.numbers.first(where: { $0 >= count }) {
          throw SymbolicTensor.ShapeError(
            message: "number \(spare) is too many; the config says that there are \(count)")
        }
        return [(rule.right[0].fill(instance.binding), .tensor(try .concatenated(layers, axis: 1)))]
      }
      guard let tensor = instance.values.first??.value.tensor, tensor.shape.count == 3, tensor.shape[1] == count else {
        throw SymbolicTensor.ShapeError(message: "a tensor with \(count) matrices along its second axis is needed here")
      }
      var results: [(key: String, value: StateDict.Value)] = []
      for number in 0..<count {
        let part = try tensor.sliced(axis: 1, number..<number + 1).reshaped([tensor.shape[0], tensor.shape[2]])
        let binding = instance.binding.with(hole, "\(number)")
        results.append((rule.left[0].fill(binding), .tensor(part)))
      }
      return results
    } catch { throw RuleFailure(error.message) }
  }
}
