import Testing

@testable import Core

/// Random expressions, computed tile by tile with a scratch that is far too small, against an evaluation that looks up one
/// element at a time.
@Suite struct TileEvaluatorTests {
  @Test(arguments: 0..<300) func computesWhatTheExpressionSays(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let source = MemoryCheckpoint([("a", [12, 10, 16]), ("b", [12, 10, 16]), ("c", [40, 96])], model: false)
    let tensor = try randomTensor(&random)
    let expected = tensor.expression.elements(shape: tensor.shape, source: source)
    let descriptors = source.descriptors
    #expect(try evaluated(tensor, sources: descriptors, from: source) == expected, "\(tensor.expression)")

    // The same in tiles, as the executor does.
    let lowered = LoweredTensor(tensor.expression, dtype: .float32, descriptors: descriptors)
    let evaluator = TileEvaluator(source: source, scratchBytes: 4096)
    let tileElements = 1 + random.below(700)
    var got: [Float] = []
    var failure: ConversionError?
    withUnsafeTemporaryAllocation(byteCount: tileElements * 4, alignment: 64) { tile in
      Tiling.forEachTile(of: tensor.shape, elements: tileElements) { box in
        do throws(ConversionError) {
          try evaluator.produce(lowered, box, tile: tile, dtype: .float32) {
            (bytes, position) throws(ConversionError) in
            #expect(position % 4 == 0)
            got += bytes.bindMemory(to: Float.self)
          }
        } catch { failure = error }
      }
    }
    #expect(failure == nil)
    #expect(got == expected, "\(tensor.expression) in tiles of \(tileElements)")
  }

  /// A few operations on random operands.
  private func randomTensor(_ random: inout SplitMix) throws -> SymbolicTensor {
    func leaf() -> SymbolicTensor {
      switch random.below(3) {
      case 0: SymbolicTensor(source: "a", dtype: .float32, shape: [12, 10, 16])
      case 1: SymbolicTensor(source: "b", dtype: .float32, shape: [12, 10, 16])
      default: SymbolicTensor(source: "c", dtype: .float32, shape: [40, 96])
      }
    }
    var tensor = leaf()
    for _ in 0..<random.below(7) {
      switch random.below(5) {
      case 0: tensor = tensor.permuted(tensor.shape.indices.shuffled(using: &random))
      case 1:
        let axis = random.below(tensor.shape.count)
        let start = random.below(tensor.shape[axis])
        let end = start + 1 + random.below(tensor.shape[axis] - start)
        tensor = try tensor.sliced(axis: axis, start..<end)
      case 2: tensor = try tensor.reshaped(randomShape(tensor.shape.reduce(1, *), &random))
      case 3:
        let other = try SymbolicTensor(source: "b", dtype: .float32, shape: [12, 10, 16]).reshaped([1920])
        let axis = random.below(tensor.shape.count)
        var shape = tensor.shape
        shape[axis] = 1
        let count = shape.reduce(1, *)
        if count <= 1920 {
          let part = try other.sliced(axis: 0, 0..<count).reshaped(shape)
          tensor = try .concatenated(Bool.random(using: &random) ? [tensor, part] : [part, tensor], axis: axis)
        }
      default:
        let functions: [ElementFunction] = [
          .nanToZero, .multiply(0.3), .divide(0.7), .add(0.1), .subtract(3), .multiply(1),
        ]
        tensor = tensor.mapped(functions[random.below(functions.count)])
      }
    }
    return tensor
  }

  private func randomShape(_ count: Int, _ random: inout SplitMix) -> [Int] {
    var shape: [Int] = []
    var rest = count
    for factor in [2, 3, 4, 5, 7, 8] where rest % factor == 0 && random.below(2) == 0 {
      shape.append(factor)
      rest /= factor
    }
    shape.append(rest)
    return shape.shuffled(using: &random)
  }
}

@Suite struct TilingTests {
  @Test(arguments: [1, 2, 3, 5, 7, 12, 24, 100]) func tilesCoverATensorInOrder(elements: Int) {
    let shape = [2, 3, 4]
    let strides = TensorShape.contiguousStrides(shape)
    var next = 0
    Tiling.forEachTile(of: shape, elements: elements) { box in
      #expect(zip(box.lower, strides).reduce(0) { $0 + $1.0 * $1.1 } == next)
      let count = box.count.reduce(1, *)
      #expect(count <= max(elements, 1))
      next += count
    }
    #expect(next == 24)
  }

  @Test func emptyTensorsHaveNoTile() {
    Tiling.forEachTile(of: [3, 0, 2], elements: 4) { _ in Issue.record("a tile") }
  }

  @Test func aScalarIsOneTile() {
    var tiles = 0
    Tiling.forEachTile(of: [], elements: 4) { box in
      #expect(box.count.isEmpty)
      tiles += 1
    }
    #expect(tiles == 1)
  }
}

extension SplitMix {
  fileprivate mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

extension MemoryCheckpoint {
  fileprivate var descriptors: [String: TensorDescriptor] {
    guard case .dictionary(let entries, _) = tree else { return [:] }
    var result: [String: TensorDescriptor] = [:]
    for entry in entries { if case .tensor(let tensor) = entry.value { result[entry.key.description] = tensor } }
    return result
  }
}

extension TensorExpression {
  /// Every element, looked up alone.
  fileprivate func elements(shape: [Int], source: MemoryCheckpoint) -> [Float] {
    let strides = TensorShape.contiguousStrides(shape)
    return (0..<shape.reduce(1, *)).map { flat in
      element(zip(shape, strides).map { flat / $1 % $0 }, source)
    }
  }

  private func element(_ index: [Int], _ source: MemoryCheckpoint) -> Float {
    switch self {
    case .source(let key):
      let shape = source.descriptors[key]?.shape ?? []
      return source[key][flat(index, shape)]
    case .permute(let operand, let axes):
      var inner = index
      for (axis, operandAxis) in axes.enumerated() { inner[operandAxis] = index[axis] }
      return operand.element(inner, source)
    case .slice(let operand, let axis, let range, _):
      var inner = index
      inner[axis] += range.lowerBound
      return operand.element(inner, source)
    case .concatenate(let operands, let axis, let lengths):
      var inner = index
      for (operand, length) in zip(operands, lengths) {
        if inner[axis] < length { return operand.element(inner, source) }
        inner[axis] -= length
      }
      return .nan
    case .reshape(let operand, let from, let to):
      let position = flat(index, to)
      let strides = TensorShape.contiguousStrides(from)
      return operand.element(zip(from, strides).map { position / $1 % $0 }, source)
    case .map(let operand, let function):
      let value = operand.element(index, source)
      switch function {
      case .scalar(let operation):
        let scalar = Float(operation.scalar)
        switch operation.kind {
        case .multiply: return value * scalar
        case .divide: return value / scalar
        case .add: return value + scalar
        case .subtract: return value - scalar
        }
      case .nanToZero, .cast: return value.isNaN ? 0 : value
      }
    case .generate: return .nan
    }
  }

  private func flat(_ index: [Int], _ shape: [Int]) -> Int {
    zip(index, TensorShape.contiguousStrides(shape)).reduce(0) { $0 + $1.0 * $1.1 }
  }
}
