import OrderedCollections
import Testing

@testable import Core

/// A zero among the dimensions hides nothing: every product that is computed later fits.
@Suite struct TensorShapeTests {
  static let huge = 1 << 62

  @Test(
    arguments: [
      ([], 1), ([3], 3), ([0], 1), ([2, 0, 3], 6), ([0, 1 << 44], 1 << 44), ([1 << 62, 1], 1 << 62),
      ([0, huge, huge], nil), ([huge, huge, 0], nil), ([2, -1], nil), ([0, .max], .max),
    ] as [([Int], Int?)])
  func extents(_ shape: [Int], _ extent: Int?) { #expect(TensorShape.extent(shape) == extent) }

  @Test func emptyShapesHaveNoElementsUnlessTheyOverflow() {
    #expect(TensorShape.elementCount([5, 0]) == 0)
    #expect(TensorShape.elementCount([5, 7]) == 35)
    #expect(TensorShape.elementCount([0, Self.huge, 4]) == nil)
  }

  @Test func theBoundCountsEachDimensionAtLeastOnce() throws {
    let limit = Limits.standard.elements
    #expect(TensorShape.problem([limit]) == nil)
    #expect(TensorShape.problem([0, limit]) == nil)
    #expect(try #require(TensorShape.problem([limit, 2, 0])).contains("too large"))
    #expect(try #require(TensorShape.problem([0, -1])).contains("negative"))
    #expect(try #require(TensorShape.problem(Array(repeating: 1, count: 65))).contains("65 dimensions"))
  }

  /// Slices multiply strides with indices, also where no element is read.
  @Test(
    arguments: [
      ([0, 4], [1 << 61, 1], 0), ([1, 4], [1 << 61, 1], 0), ([0, 4], [4, 1], 1 << 61),
      ([1 << 43, 0], [1 << 43, 1], 0),
    ] as [([Int], [Int], Int)])
  func viewsReachNoFurtherThanTheLimit(_ shape: [Int], _ strides: [Int], _ offset: Int) throws {
    let view = TensorDescriptor(
      dtype: .float32, shape: shape, strides: strides, storage: StorageID(0), offset: offset)
    #expect(try #require(view.problem(storageBytes: 64)).contains("beyond"))
  }

  @Test func emptyViewsAreRead() {
    let view = TensorDescriptor(dtype: .float32, shape: [0, 4], strides: [1, 9], storage: StorageID(0), offset: 7)
    #expect(view.problem(storageBytes: 0) == nil)
  }

  // MARK: Plans

  @Test func concatenationsStayWithinTheLimit() throws {
    let part = SymbolicTensor(source: "a", dtype: .float32, shape: [Limits.standard.elements / 2, 0])
    let whole = try SymbolicTensor.concatenated([part, part], axis: 0)
    #expect(whole.shape == [Limits.standard.elements, 0])
    #expect(throws: SymbolicTensor.ShapeError.self) { try SymbolicTensor.concatenated([whole, part], axis: 0) }
  }

  @Test func reshapesOfNothingStayWithinTheLimit() throws {
    let empty = SymbolicTensor(source: "a", dtype: .float32, shape: [0, 8])
    #expect(try empty.reshaped([4, 0]).shape == [4, 0])
    #expect(throws: SymbolicTensor.ShapeError.self) { try empty.reshaped([0, Self.huge]) }
  }

  @Test func generatedTensorsStayWithinTheLimit() throws {
    #expect(throws: SymbolicTensor.ShapeError.self) {
      try SymbolicTensor(generated: .normal(shape: [1 << 31, 1 << 31, 4], standardDeviation: 1, seed: 1))
    }
    #expect(throws: SymbolicTensor.ShapeError.self) { try SymbolicTensor(generated: .causalMask(size: 1 << 31)) }
    #expect(try SymbolicTensor(generated: .causalMask(size: 1 << 10)).byteCount == 1 << 20)
    #expect(ElementGenerator.inverseFrequencies(base: 1, dimension: .max).shape == [1 << 62])
  }

  @Test func packingOfEmptyPartsIsRefusedNotComputed() throws {
    let context = RuleContext(left: [:], right: ["heads": .int(Int(Int32.max))])
    let packing = Packing(rows: [.dimension(.config(.right, "heads")), .parts, .rest])
    let part = SymbolicTensor(source: "a", dtype: .float32, shape: [0, 1 << 40])
    #expect(throws: RuleFailure.self) { try packing.pack([part, part, part], context) }
    let packed = SymbolicTensor(source: "a", dtype: .float32, shape: [0, 1 << 44])
    #expect(throws: RuleFailure.self) { try packing.unpack(packed, into: 3, context) }
  }
}
