import Testing

@testable import Core

/// Functions on elements in plans: where they go, and what cancels out around them.
@Suite struct MappedTensorTests {
  private let tensor = SymbolicTensor(source: "w", dtype: .float32, shape: [12, 8])
  private let scaled = TensorExpression.map(.source("w"), .multiply(0.5))

  @Test func goesBelowWhatMovesElements() throws {
    let moved = try tensor.permuted([1, 0]).sliced(axis: 0, 2..<6).reshaped([2, 24]).mapped(.multiply(0.5))
    let before = try tensor.mapped(.multiply(0.5)).permuted([1, 0]).sliced(axis: 0, 2..<6).reshaped([2, 24])
    #expect(moved == before)
  }

  @Test func leavesInversesToCancelOut() throws {
    #expect(tensor.permuted([1, 0]).mapped(.multiply(0.5)).permuted([1, 0]).expression == scaled)
    #expect(try tensor.reshaped([96]).mapped(.multiply(0.5)).reshaped([12, 8]).expression == scaled)
    let parts = try [0..<4, 4..<12].map { try tensor.sliced(axis: 0, $0).mapped(.multiply(0.5)) }
    #expect(try SymbolicTensor.concatenated(parts, axis: 0).expression == scaled)
    // And on the whole what was cut before.
    let whole = try SymbolicTensor.concatenated(parts.reversed(), axis: 0).mapped(.nanToZero)
    #expect(try whole.sliced(axis: 0, 8..<12) == parts[0].mapped(.nanToZero))
  }

  @Test func partsOfUnequalFunctionsStayApart() throws {
    let parts = [
      try tensor.sliced(axis: 0, 0..<4).mapped(.multiply(0.5)), try tensor.sliced(axis: 0, 4..<12).mapped(.multiply(2)),
    ]
    let joined = try SymbolicTensor.concatenated(parts, axis: 0)
    #expect(
      joined.expression == .concatenate(parts.map(\.expression), axis: 0, lengths: [4, 8]), "two functions, two parts")
    let source = MemoryCheckpoint([("w", [12, 8])], model: false)
    guard case .tensor(let descriptor) = source.tree["w"] else {
      Issue.record("no tensor")
      return
    }
    let expected = source["w"].enumerated().map { $0.element * ($0.offset < 32 ? 0.5 : 2) }
    #expect(try evaluated(joined, sources: ["w": descriptor], from: source) == expected)
  }

  @Test func leavesOutOnlyWhatChangesNoElement() {
    #expect(tensor.mapped(.multiply(1)) == tensor)
    #expect(tensor.mapped(.divide(1)) == tensor)
    #expect(tensor.mapped(.add(0)) != tensor, "-0 + 0 is 0")
    #expect(tensor.mapped(.subtract(0)) != tensor)
    #expect(tensor.mapped(.multiply(2)).mapped(.divide(2)) != tensor, "2 * x may be infinite")
    #expect(
      tensor.mapped(.multiply(3)).mapped(.divide(7)).expression
        == .map(.map(.source("w"), .multiply(3)), .divide(7)), "two roundings")
    #expect(tensor.mapped(.nanToZero).mapped(.nanToZero) == tensor.mapped(.nanToZero))
    #expect(tensor.mapped(.multiply(0.0)) != tensor.mapped(.multiply(-0.0)), "the signs of the zeros differ")
    #expect(tensor.mapped(.multiply(.nan)) == tensor.mapped(.multiply(.nan)), "equal results share a storage")
  }

  @Test(arguments: [DType.int64, .uint8, .bool, .complex64]) func leavesOtherTypesAlone(dtype: DType) {
    let tensor = SymbolicTensor(source: "w", dtype: dtype, shape: [3])
    #expect(tensor.mapped(.multiply(2)) == tensor)
    #expect(tensor.mapped(.nanToZero) == tensor)
  }

  @Test func staysBehindACast() {
    let half = tensor.cast(to: .float16).mapped(.add(0.1))
    #expect(half.dtype == .float16)
    #expect(half.expression == .map(.map(.source("w"), .cast(from: .float32, to: .float16)), .add(0.1)))
  }

  @Test func generatorsYieldWhatTheyName() throws {
    let source = MemoryCheckpoint([], model: false)
    let values = try SymbolicTensor(generated: .values([0.5, 0.25, 2, 1, 3, 7], shape: [3, 2]))
    #expect(values.dtype == .float32)
    #expect(try evaluated(values, sources: [:], from: source) == [0.5, 0.25, 2, 1, 3, 7])
    #expect(try evaluated(values.permuted([1, 0]), sources: [:], from: source) == [0.5, 2, 3, 0.25, 1, 7])
    #expect(try evaluated(values.mapped(.add(1)), sources: [:], from: source) == [1.5, 1.25, 3, 2, 4, 8])
    #expect(values.cast(to: .float16) == values, "constants that models compute in float32")

    let drawn = try SymbolicTensor(generated: .uniform(shape: [100, 50], bound: 0.125, seed: 7))
    let elements = try evaluated(drawn, sources: [:], from: source)
    #expect(elements.allSatisfy { abs($0) <= 0.125 })
    #expect(Set(elements).count > 4_900)
    #expect(abs(elements.reduce(0, +) / 5_000) < 0.005)
    #expect(elements.count { $0 > 0.0625 } > 1_100 && elements.count { $0 < -0.0625 } > 1_100)
    #expect(try evaluated(drawn, sources: [:], from: source) == elements)
    #expect(
      try evaluated(drawn.sliced(axis: 0, 40..<41), sources: [:], from: source) == Array(elements[2_000..<2_050]))
    let other = try SymbolicTensor(generated: .uniform(shape: [100, 50], bound: 0.125, seed: 8))
    #expect(try evaluated(other, sources: [:], from: source) != elements)
    #expect(drawn.cast(to: .bfloat16).dtype == .bfloat16)

    let zeros = try SymbolicTensor(generated: .zeros(shape: [2, 3], dtype: .bfloat16))
    #expect(zeros.dtype == .bfloat16 && zeros.byteCount == 12)
    #expect(
      try evaluated(zeros.cast(to: .float32).permuted([1, 0]), sources: [:], from: source) == [0, 0, 0, 0, 0, 0])
    #expect(try SymbolicTensor(generated: .zeros(shape: [4])).dtype == .float32)
  }
}
