extension Kernels {
  /// Passes each element of a strided box through a function, in place. Strides count elements.
  static func apply(
    _ function: ElementFunction, _ dtype: DType, counts: [Int], strides: [Int], _ target: UnsafeMutableRawPointer
  ) {
    switch function {
    case .nanToZero:
      switch dtype {
      case .float64: zeroNaN(UInt64.self, 0x7ff0_0000_0000_0000, counts, strides, target)
      case .float32: zeroNaN(UInt32.self, 0x7f80_0000, counts, strides, target)
      case .float16: zeroNaN(UInt16.self, 0x7c00, counts, strides, target)
      case .bfloat16: zeroNaN(UInt16.self, 0x7f80, counts, strides, target)
      case .float8E5M2: zeroNaN(UInt8.self, 0x7c, counts, strides, target)
      case .float8E4M3FN: zeroNaN(UInt8.self, 0x7e, counts, strides, target)
      default: break
      }
    case .scalar(let operation): ScalarArithmetic.apply(operation, dtype, counts: counts, strides: strides, target)
    case .cast: preconditionFailure("a cast changes the size of elements and is never done in place")
    }
  }

  /// A value is NaN when its bits without the sign exceed those of infinity (or, in float8_e4m3fn, of the largest number).
  private static func zeroNaN<Bits: FixedWidthInteger & UnsignedInteger>(
    _ type: Bits.Type, _ largest: Bits, _ counts: [Int], _ strides: [Int], _ target: UnsafeMutableRawPointer
  ) {
    let to = target.assumingMemoryBound(to: Bits.self)
    let magnitude = Bits.max >> 1
    forEachRun(counts, strides) { offset, count, stride in
      var place = offset
      for _ in 0..<count {
        to[place] = to[place] & magnitude > largest ? 0 : to[place]
        place &+= stride
      }
    }
  }

  /// Visits the elements of a strided box in row-major order, by their distance from the first.
  static func forEachOffset(_ counts: [Int], _ strides: [Int], _ body: (Int) -> Void) {
    func visit(_ axis: Int, _ offset: Int) {
      guard axis < counts.count else { return body(offset) }
      for position in 0..<counts[axis] { visit(axis + 1, offset + position * strides[axis]) }
    }
    visit(0, 0)
  }
}
