/// A tensor of a plan: dtype, shape and the expression that yields its elements.
///
/// Each operation checks shapes and simplifies, so that a conversion and its inverse mostly cancel out in symbols, and a
/// tensor that ends as it began is recognised as a plain copy. Operations cost O(size of the expression) and touch no
/// tensor byte.
package struct SymbolicTensor: Sendable, Hashable {
  /// Element type.
  package let dtype: DType
  /// Length of each axis.
  package let shape: [Int]
  /// Where the elements come from.
  let expression: TensorExpression

  private init(_ dtype: DType, _ shape: [Int], _ expression: TensorExpression) {
    self.dtype = dtype
    self.shape = shape
    self.expression = expression
  }

  /// A tensor of the source state dict, as its container describes it.
  ///
  /// Precondition: `TensorShape.problem` finds nothing wrong with the shape, as containers have made sure.
  package init(source key: String, dtype: DType, shape: [Int]) {
    self.init(dtype, shape, .source(key))
  }

  /// A tensor that no source holds. Throws when its shape, which comes from a config, is beyond the limits.
  init(generated generator: ElementGenerator) throws(ShapeError) {
    if let problem = TensorShape.problem(generator.shape) {
      throw ShapeError(message: "a tensor would have \(problem)")
    }
    self.init(generator.dtype, generator.shape, .generate(generator))
  }

  /// Bytes of the tensor written contiguously. Does not overflow: every shape of a plan is within the limits.
  package var byteCount: Int { (TensorShape.elementCount(shape) ?? 0) * dtype.size }

  /// A shape that an operation cannot take.
  struct ShapeError: Error, Sendable {
    /// What does not fit.
    let message: String
  }

  /// Axis `i` of the result is axis `axes[i]` of this tensor. Precondition: `axes` is a permutation of the axes.
  func permuted(_ axes: [Int]) -> SymbolicTensor {
    precondition(axes.sorted() == Array(shape.indices), "\(axes) is no permutation of \(shape.count) axes")
    if axes == Array(shape.indices) { return self }
    let result = axes.map { shape[$0] }
    if case .permute(let operand, let inner) = expression {
      let composed = axes.map { inner[$0] }
      if composed == Array(shape.indices) { return SymbolicTensor(dtype, result, operand) }
      return SymbolicTensor(dtype, result, .permute(operand, axes: composed))
    }
    return SymbolicTensor(dtype, result, .permute(expression, axes: axes))
  }

  /// The first and second axis of a matrix exchanged; a tensor of any other rank as it is.
  var matrixTransposed: SymbolicTensor { shape.count == 2 ? permuted([1, 0]) : self }

  /// The part of one axis. Throws when the range exceeds the axis.
  func sliced(axis: Int, _ range: Range<Int>) throws(ShapeError) -> SymbolicTensor {
    guard shape.indices.contains(axis), range.lowerBound >= 0, range.upperBound <= shape[axis] else {
      throw ShapeError(message: "shape \(shape) has no range \(range) along axis \(axis)")
    }
    if range == 0..<shape[axis] { return self }
    var result = shape
    result[axis] = range.count
    switch expression {
    case .slice(let operand, axis, let outer, let length):
      let inner = outer.lowerBound + range.lowerBound..<outer.lowerBound + range.upperBound
      return SymbolicTensor(dtype, result, .slice(operand, axis: axis, range: inner, length: length))
    case .concatenate(let operands, axis, let lengths):
      var start = 0
      for (operand, length) in zip(operands, lengths) {
        if range.lowerBound >= start, range.upperBound <= start + length, !range.isEmpty {
          var partShape = shape
          partShape[axis] = length
          let part = SymbolicTensor(dtype, partShape, operand)
          return try part.sliced(axis: axis, range.lowerBound - start..<range.upperBound - start)
        }
        start += length
      }
    default: break
    }
    return SymbolicTensor(dtype, result, .slice(expression, axis: axis, range: range, length: shape[axis]))
  }

  /// The same elements in row-major order under another shape. Throws when the element counts differ.
  func reshaped(_ target: [Int]) throws(ShapeError) -> SymbolicTensor {
    guard TensorShape.problem(target) == nil, TensorShape.elementCount(target) == TensorShape.elementCount(shape) else {
      throw ShapeError(message: "shape \(shape) cannot be read as \(target)")
    }
    if target == shape { return self }
    if case .reshape(let operand, let original, _) = expression {
      if target == original { return SymbolicTensor(dtype, target, operand) }
      return SymbolicTensor(dtype, target, .reshape(operand, from: original, to: target))
    }
    return SymbolicTensor(dtype, target, .reshape(expression, from: shape, to: target))
  }

  /// Tensors one after the other along an axis. Throws when dtypes or the other axes differ.
  static func concatenated(_ parts: [SymbolicTensor], axis: Int) throws(ShapeError) -> SymbolicTensor {
    guard let first = parts.first, first.shape.indices.contains(axis) else {
      throw ShapeError(message: "nothing to concatenate along axis \(axis)")
    }
    var shape = first.shape
    shape[axis] = 0
    for part in parts {
      guard part.dtype == first.dtype else {
        throw ShapeError(message: "\(part.dtype.rawValue) and \(first.dtype.rawValue) do not go into one tensor")
      }
      var expected = shape
      expected[axis] = part.shape.indices.contains(axis) ? part.shape[axis] : 0
      guard part.shape == expected else {
        throw ShapeError(message: "shapes \(first.shape) and \(part.shape) do not go into one tensor")
      }
      let (length, overflow) = shape[axis].addingReportingOverflow(part.shape[axis])
      shape[axis] = overflow ? .max : length
      if let problem = TensorShape.problem(shape) { throw ShapeError(message: "together the parts have \(problem)") }
    }
    if parts.count == 1 { return first }
    if let whole = joined(parts, axis: axis, shape: shape) { return whole }
    return SymbolicTensor(
      first.dtype, shape,
      .concatenate(parts.map(\.expression), axis: axis, lengths: parts.map { $0.shape[axis] }))
  }

  /// The one slice, or the whole, of the tensor that these parts were cut from in this order; nil when they were not.
  private static func joined(_ parts: [SymbolicTensor], axis: Int, shape: [Int]) -> SymbolicTensor? {
    guard case .slice(let operand, axis, let first, let length) = parts[0].expression else { return nil }
    var end = first.upperBound
    for part in parts.dropFirst() {
      guard case .slice(operand, axis, let range, _) = part.expression, range.lowerBound == end else { return nil }
      end = range.upperBound
    }
    let range = first.lowerBound..<end
    if range == 0..<length { return SymbolicTensor(parts[0].dtype, shape, operand) }
    return SymbolicTensor(
      parts[0].dtype, shape, .slice(operand, axis: axis, range: range, length: length))
  }

  /// Each element passed through a function, in the tensor's own type.
  ///
  /// The function goes down to the sources, so that what moves elements still cancels out around it; `x * 1` and `x / 1`
  /// are left out. Tensors of integers, booleans and complex numbers stay as they are: torch would make them float32, and
  /// what they hold (masks, positions, packed codes) is not what a scale is meant for.
  func mapped(_ function: ElementFunction) -> SymbolicTensor {
    switch function {
    case .cast(_, let target): return cast(to: target)
    case .scalar(let operation) where operation.isIdentity: return self
    case .nanToZero, .scalar: break
    }
    guard dtype.isFloatingPoint else { return self }
    return SymbolicTensor(dtype, shape, expression.mapped(function))
  }

  /// The tensor in another precision; as it is when it holds no real floating-point numbers, or when it is a constant that
  /// models compute in float32 whatever their weights are.
  func cast(to target: DType) -> SymbolicTensor {
    guard dtype.isFloatingPoint, target.isFloatingPoint, dtype != target else { return self }
    switch expression {
    case .generate(.scalar), .generate(.values), .generate(.inverseFrequencies): return self
    default: return SymbolicTensor(target, shape, .map(expression, .cast(from: dtype, to: target)))
    }
  }
}

extension TensorExpression {
  /// The elements passed through a function that is computed before anything moves them. Complexity: O(size).
  fileprivate func mapped(_ function: ElementFunction) -> TensorExpression {
    switch self {
    case .permute(let operand, let axes): .permute(operand.mapped(function), axes: axes)
    case .slice(let operand, let axis, let range, let length):
      .slice(operand.mapped(function), axis: axis, range: range, length: length)
    case .reshape(let operand, let from, let to): .reshape(operand.mapped(function), from: from, to: to)
    case .concatenate(let operands, let axis, let lengths):
      .concatenate(operands.map { $0.mapped(function) }, axis: axis, lengths: lengths)
    case .map(_, .nanToZero) where function == .nanToZero: self
    case .source, .map, .generate: .map(self, function)
    }
  }
}
