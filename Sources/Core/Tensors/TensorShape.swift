/// Shape arithmetic with every product checked.
package enum TensorShape {
  /// The product of the dimensions, each counted as at least 1; nil when one is negative or the product exceeds `Int.max`.
  ///
  /// This is what limits apply to: strides, slices and parts of an empty tensor are products of its other dimensions, so a
  /// zero must not hide them. Complexity: O(rank).
  static func extent(_ shape: [Int]) -> Int? {
    var extent = 1
    for dimension in shape {
      guard dimension >= 0 else { return nil }
      let (product, overflow) = extent.multipliedReportingOverflow(by: max(dimension, 1))
      if overflow { return nil }
      extent = product
    }
    return extent
  }

  /// The number of elements; nil when the shape has no `extent`.
  ///
  /// Complexity: O(rank).
  package static func elementCount(_ shape: [Int]) -> Int? {
    guard let extent = extent(shape) else { return nil }
    return shape.contains(0) ? 0 : extent
  }

  /// Why no tensor of this shape is read or planned; nil when it is within the limits. Every reader asks this first.
  ///
  /// After it, no product of dimensions can overflow, nor that product times the size of an element. Complexity: O(rank).
  package static func problem(_ shape: [Int], limits: Limits = .standard) -> String? {
    guard shape.count <= limits.rank else { return "\(shape.count) dimensions; at most \(limits.rank) are read" }
    guard shape.allSatisfy({ $0 >= 0 }) else { return "a negative dimension in shape \(shape)" }
    guard let extent = extent(shape), extent <= limits.elements else {
      return
        "the dimensions of shape \(shape) are too large: their product, each counted as at least 1, must not exceed "
        + "\(limits.elements)"
    }
    return nil
  }

  /// The strides, in elements, of a row-major contiguous tensor.
  ///
  /// Precondition: `elementCount(shape)` is not nil. Complexity: O(rank).
  package static func contiguousStrides(_ shape: [Int]) -> [Int] {
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
  static func isContiguous(_ shape: [Int], strides: [Int]) -> Bool {
    if shape.contains(0) { return true }
    var step = 1
    for axis in shape.indices.reversed() where shape[axis] != 1 {
      if strides[axis] != step { return false }
      step *= shape[axis]
    }
    return true
  }
}
