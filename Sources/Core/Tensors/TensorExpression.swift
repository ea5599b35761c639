/// How the elements of one output tensor come from source tensors. Symbolic: holds names and numbers, no element.
///
/// Build it through `SymbolicTensor`, which knows dtype and shape, checks every step and simplifies. Two output tensors with
/// equal expressions have equal elements, so they can share one storage.
indirect enum TensorExpression: Sendable, Hashable {
  /// The tensor of the source state dict under this key.
  case source(String)
  /// Axis `i` of the result is axis `axes[i]` of the operand.
  case permute(TensorExpression, axes: [Int])
  /// Part of one axis; `length` is the operand's length along it.
  case slice(TensorExpression, axis: Int, range: Range<Int>, length: Int)
  /// Operands one after the other along an axis. The lengths along that axis are kept for finding parts again.
  case concatenate([TensorExpression], axis: Int, lengths: [Int])
  /// The same elements in row-major order under another shape; `from` is the operand's shape.
  case reshape(TensorExpression, from: [Int], to: [Int])
  /// The same elements, each passed through a function. `SymbolicTensor` keeps functions at the sources and generators, and
  /// casts outside of everything.
  case map(TensorExpression, ElementFunction)
  /// Elements that come from no source.
  case generate(ElementGenerator)

  /// The keys of all source tensors, in the order in which they appear, each once. Complexity: O(size).
  var sourceKeys: [String] {
    var keys: [String] = []
    func visit(_ expression: TensorExpression) {
      switch expression {
      case .source(let key): if !keys.contains(key) { keys.append(key) }
      case .permute(let operand, _), .slice(let operand, _, _, _), .reshape(let operand, _, _), .map(let operand, _):
        visit(operand)
      case .concatenate(let operands, _, _): operands.forEach(visit)
      case .generate: break
      }
    }
    visit(self)
    return keys
  }

  /// A short name of what is done, for reports and plans: `copy`, `permute`, `slice`, `concatenate` ...
  var summary: String {
    switch self {
    case .source: "copy"
    case .permute(let operand, let axes): Self.chain(operand, "permute\(axes)")
    case .slice(let operand, let axis, let range, _):
      Self.chain(operand, "slice(axis \(axis), \(range.lowerBound)..<\(range.upperBound))")
    case .concatenate(let operands, let axis, _):
      "concatenate(axis \(axis): \(operands.map(\.summary).joined(separator: ", ")))"
    case .reshape(let operand, _, let shape): Self.chain(operand, "reshape\(shape)")
    case .map(let operand, let function): Self.chain(operand, function.description)
    case .generate(let generator): generator.description
    }
  }

  private static func chain(_ operand: TensorExpression, _ step: String) -> String {
    if case .source = operand { step } else { "\(operand.summary), \(step)" }
  }
}

/// A function of one element, computed as torch computes it.
enum ElementFunction: Sendable, Hashable, CustomStringConvertible {
  /// `x[x.isnan()] = 0`: how a sparse Model Zoo checkpoint becomes dense.
  case nanToZero
  /// `x.to(dtype)` between floating-point types.
  case cast(from: DType, to: DType)
  /// `x * s`, `x / s`, `x + s` or `x - s`. `ScalarOperation` says how it is rounded.
  case scalar(ScalarOperation)

  /// `x * scalar`.
  static func multiply(_ scalar: Double) -> ElementFunction { .scalar(ScalarOperation(.multiply, scalar)) }
  /// `x / scalar`: a division, which a product with the reciprocal does not always equal.
  static func divide(_ scalar: Double) -> ElementFunction { .scalar(ScalarOperation(.divide, scalar)) }
  /// `x + scalar`.
  static func add(_ scalar: Double) -> ElementFunction { .scalar(ScalarOperation(.add, scalar)) }
  /// `x - scalar`.
  static func subtract(_ scalar: Double) -> ElementFunction { .scalar(ScalarOperation(.subtract, scalar)) }

  /// A few words for plans and reports.
  var description: String {
    switch self {
    case .nanToZero: "NaN to 0"
    case .cast(let from, let to): "\(from.rawValue) to \(to.rawValue)"
    case .scalar(let operation): operation.description
    }
  }
}

/// Tensors that a format demands and no source holds.
enum ElementGenerator: Sendable, Hashable, CustomStringConvertible {
  /// One float32 value, rank 0: `torch.tensor(value)`.
  case scalar(Float)
  /// Zeros of any type.
  case zeros(shape: [Int], dtype: DType = .float32)
  /// Float32 values in row-major order; as many as the shape has elements.
  case values([Float], shape: [Int])
  /// `torch.tril(torch.ones(n, n)).view(1, 1, n, n)` as uint8.
  case causalMask(size: Int)
  /// `torch.arange(n).expand(1, -1)` as int64.
  case positions(count: Int)
  /// `1 / base ** (arange(0, dimension, 2).float() / dimension)` as float32: rotary inverse frequencies.
  case inverseFrequencies(base: Double, dimension: Int)
  /// Float32 values drawn from a normal distribution with mean 0, the same for the same seed and shape.
  case normal(shape: [Int], standardDeviation: Float, seed: UInt64)
  /// Float32 values drawn evenly between `-bound` and `bound`, the same for the same seed and shape.
  case uniform(shape: [Int], bound: Float, seed: UInt64)

  /// Element type.
  var dtype: DType {
    switch self {
    case .scalar, .values, .inverseFrequencies, .normal, .uniform: .float32
    case .zeros(_, let dtype): dtype
    case .causalMask: .uint8
    case .positions: .int64
    }
  }

  /// Length of each axis.
  var shape: [Int] {
    switch self {
    case .scalar: []
    case .zeros(let shape, _), .values(_, let shape): shape
    case .causalMask(let size): [1, 1, size, size]
    case .positions(let count): [1, count]
    case .inverseFrequencies(_, let dimension): [dimension / 2 + dimension % 2]
    case .normal(let shape, _, _), .uniform(let shape, _, _): shape
    }
  }

  /// A few words for plans and reports.
  var description: String {
    switch self {
    case .scalar(let value): "constant \(value)"
    case .zeros: "zeros"
    case .values: "constants"
    case .causalMask: "causal mask"
    case .positions: "positions"
    case .inverseFrequencies: "inverse frequencies"
    case .normal(_, let deviation, _): "drawn (normal, std \(deviation))"
    case .uniform(_, let bound, _): "drawn (uniform, bound \(bound))"
    }
  }
}
