import Glibc

extension ElementGenerator {
  /// Writes a box of the generated tensor; `strides` are those of the target, in elements.
  ///
  /// Complexity: O(elements of the box); each element depends on its own index only, so any tile can be made alone.
  func fill(_ lower: [Int], _ count: [Int], _ strides: [Int], _ target: UnsafeMutableRawPointer) {
    switch self {
    case .scalar(let value): target.storeBytes(of: value, as: Float.self)
    case .zeros:
      let to = target.assumingMemoryBound(to: Float.self)
      Kernels.forEachOffset(count, strides) { to[$0] = 0 }
    case .causalMask:
      let (rows, columns) = (count.count - 2, count.count - 1)
      for row in 0..<count[rows] {
        for column in 0..<count[columns] {
          let seen: UInt8 = lower[columns] + column <= lower[rows] + row ? 1 : 0
          target.storeBytes(of: seen, toByteOffset: row * strides[rows] + column * strides[columns], as: UInt8.self)
        }
      }
    case .positions:
      let to = target.assumingMemoryBound(to: Int64.self)
      for index in 0..<count[1] { to[index * strides[1]] = Int64(lower[1] + index) }
    case .inverseFrequencies(let base, let dimension):
      let to = target.assumingMemoryBound(to: Float.self)
      for index in 0..<count[0] {
        // As torch computes it: the exponent and the power in float32.
        let exponent = Float(2 * (lower[0] + index)) / Float(dimension)
        to[index * strides[0]] = 1 / powf(Float(base), exponent)
      }
    case .normal(let shape, let deviation, let seed):
      let flat = TensorShape.contiguousStrides(shape)
      let to = target.assumingMemoryBound(to: Float.self)
      func visit(_ axis: Int, _ index: Int, _ offset: Int) {
        guard axis < shape.count else {
          to[offset] = deviation * Self.normal(seed, UInt64(index))
          return
        }
        for position in 0..<count[axis] {
          visit(axis + 1, index + (lower[axis] + position) * flat[axis], offset + position * strides[axis])
        }
      }
      visit(0, 0, 0)
    }
  }

  /// The `index`-th value of a standard normal sequence: Box-Muller over two outputs of SplitMix64 at fixed positions.
  private static func normal(_ seed: UInt64, _ index: UInt64) -> Float {
    func uniform(_ position: UInt64) -> Double {
      var z = seed &+ (position &+ 1) &* 0x9e37_79b9_7f4a_7c15
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      z ^= z >> 31
      return (Double(z >> 11) + 0.5) * 0x1p-53
    }
    let radius = (-2 * log(uniform(2 &* index))).squareRoot()
    return Float(radius * cos(2 * Double.pi * uniform(2 &* index &+ 1)))
  }
}

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
    case .cast: preconditionFailure("a cast changes the size of elements and is never done in place")
    }
  }

  /// A value is NaN when its bits without the sign exceed those of infinity (or, in float8_e4m3fn, of the largest number).
  private static func zeroNaN<Bits: FixedWidthInteger & UnsignedInteger>(
    _ type: Bits.Type, _ largest: Bits, _ counts: [Int], _ strides: [Int], _ target: UnsafeMutableRawPointer
  ) {
    let to = target.assumingMemoryBound(to: Bits.self)
    let magnitude = Bits.max >> 1
    forEachOffset(counts, strides) { if to[$0] & magnitude > largest { to[$0] = 0 } }
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
