/// A rule that maps tensors, applied in one direction.
///
/// A class, because it is looked up for every key: of a structure the many references in a rule would be counted each time.
final class RuleApplication: Sendable {
  typealias Instance = StateDictPlanner.Instance
  typealias Entries = StateDictPlanner.Entries
  typealias Results = [(key: String, value: StateDict.Value)]

  private let rule: Rule
  private let transform: TensorTransform
  private let from: Side
  private let context: RuleContext
  /// The patterns of the keys that are written.
  private let targets: [KeyPattern]
  /// True for a rule that writes one tensor once for each number of a hole, when all else is written.
  let isRepeated: Bool

  /// Nil for a rule that does not map tensors.
  init?(_ rule: Rule, from: Side, context: RuleContext) {
    guard let transform = rule.transform else { return nil }
    self.rule = rule
    self.transform = transform
    self.from = from
    self.context = context
    targets = rule.claims(from.other)
    isRepeated = if case .repeated(from.other, _, _) = transform { true } else { false }
  }

  /// Adds what is written, by key. Throws when the tensors do not fit the transform.
  func apply(to instance: Instance, of source: Entries, results: inout Results) throws(RuleFailure) {
    switch transform {
    case .rename: try move(instance, of: source, to: &results) { $0 }
    case .transposeMatrix: try move(instance, of: source, to: &results) { $0.matrixTransposed }
    case .rotate(let pairs):
      try move(instance, of: source, to: &results) { (tensor) throws(RuleFailure) in
        try from == .left ? pairs.interleave(tensor, context) : pairs.separate(tensor, context)
      }
    case .roll(let distance):
      try move(instance, of: source, to: &results) { (tensor) throws(RuleFailure) in
        try rolled(tensor, by: from == .left ? distance : -distance)
      }
    case .offset(let number):
      let function: ElementFunction = from == .left ? .add(number) : .subtract(number)
      try move(instance, of: source, to: &results) { $0.mapped(function) }
    case .pack(let packing):
      let operands = try tensors(try complete(instance, of: source))
      let parts =
        try from == .left
        ? packing.unpack(operands[0], into: targets.count, context) : [packing.pack(operands, context)]
      for (target, part) in zip(targets, parts) { results.append((target.fill(instance.binding), .tensor(part))) }
    case .stack(let hole, let count):
      try stack(instance, of: source, over: hole, count: try context.length(count), to: &results)
    case .repeated(_, let hole, _):
      guard instance.binding[hole] == "0", let place = instance.positions.first ?? nil else { return }
      results.append((targets[0].fill(instance.binding), source.values[place]))
    case .custom(let custom):
      let values = instance.positions.map { $0.map { source.values[$0] } }
      let made = try from == .left ? custom.forward(values, context) : custom.backward(values, context)
      for case (let target, let value?) in zip(targets, made) {
        results.append((target.fill(instance.binding), value))
      }
    }
  }

  /// The first value that is there, under all targets; what is no tensor stays as it is.
  private func move(
    _ instance: Instance, of source: Entries, to results: inout Results,
    _ change: (SymbolicTensor) throws(RuleFailure) -> SymbolicTensor
  ) throws(RuleFailure) {
    for position in instance.positions {
      guard let position else { continue }
      var changed = source.values[position]
      if let tensor = changed.tensor { changed = .tensor(try change(tensor)) }
      for target in targets { results.append((target.fill(instance.binding), changed)) }
      return
    }
  }

  /// All the values. Throws when some are missing, naming them.
  private func complete(_ instance: Instance, of source: Entries) throws(RuleFailure) -> [StateDict.Value] {
    let missing = zip(rule.claims(from), instance.positions).filter { $0.1 == nil }.map {
      "'\($0.0.fill(instance.binding))'"
    }
    guard missing.isEmpty else {
      throw RuleFailure("expected the following keys to exist: \(missing.joined(separator: ", "))")
    }
    return instance.positions.compactMap { $0.map { source.values[$0] } }
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
  private func stack(
    _ instance: Instance, of source: Entries, over hole: String, count: Int, to results: inout Results
  ) throws(RuleFailure) {
    do throws(SymbolicTensor.ShapeError) {
      if from == .left {
        let found = Dictionary(zip(instance.numbers, instance.positions), uniquingKeysWith: { first, _ in first })
        var layers: [SymbolicTensor] = []
        for number in 0..<count {
          guard let place = found[number] ?? nil, let tensor = source.values[place].tensor, tensor.shape.count == 2
          else {
            let key = rule.left[0].fill(instance.binding.with(hole, String(number)))
            throw SymbolicTensor.ShapeError(
              message: "'\(key)' is missing or is no matrix; the config says that there are \(count)")
          }
          layers.append(try tensor.reshaped([tensor.shape[0], 1, tensor.shape[1]]))
        }
        if let spare = instance.numbers.first(where: { $0 >= count }) {
          throw SymbolicTensor.ShapeError(
            message: "number \(spare) is too many; the config says that there are \(count)")
        }
        results.append((rule.right[0].fill(instance.binding), .tensor(try .concatenated(layers, axis: 1))))
        return
      }
      guard let place = instance.positions.first ?? nil, let tensor = source.values[place].tensor,
        tensor.shape.count == 3, tensor.shape[1] == count
      else {
        throw SymbolicTensor.ShapeError(message: "a tensor with \(count) matrices along its second axis is needed here")
      }
      for number in 0..<count {
        let part = try tensor.sliced(axis: 1, number..<number + 1).reshaped([tensor.shape[0], tensor.shape[2]])
        let binding = instance.binding.with(hole, String(number))
        results.append((rule.left[0].fill(binding), .tensor(part)))
      }
    } catch { throw RuleFailure(error.message) }
  }
}
