/// Shape arithmetic with every product checked.
public enum TensorShape {
  /// The number of elements, or nil when a dimension is negative or the product exceeds `Int.max`.
  ///
  /// Complexity: O(rank).
  public static func elementCount(_ shape: [Int]) -> Int? {
    var count = 1
    var overflowed = false
    for dimension in shape {
      guard dimension >= 0 else { return nil }
      if dimension == 0 { return shape.allSatisfy { $0 >= 0 } ? 0 : nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      overflowed = overflowed || overflow
      count = product
    }
    // A zero further on makes the tensor empty whatever came before it.
    return overflowed ? nil : count
  }

  /// The strides, in elements, of a row-major contiguous tensor.
  ///
  /// Precondition: `elementCount(shape)` is not nil. Complexity: O(rank).
  public static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    var step = 1
    for axis in shape.indices.reversed() {
      strides[axis] = step
      step *= max(shape[axis], 1)
    }
    return strides
  }

  /// True when the strides visit the elements in row-major order without gaps; axes of length 1 do not count.
  ///
  /// Complexity: O(rank).
  public static func isContiguous(_ shape: [Int], strides: [Int]) -> Bool {
    if shape.contains(0) { return true }
    var step = 1
    for axis in shape.indices.reversed() where shape[axis] != 1 {
      if strides[axis] != step { return false }
      step *= shape[axis]
    }
    return true
  }
}
