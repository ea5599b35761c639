import Glibc

extension ElementGenerator {
  /// Writes a box of the generated tensor; `strides` are those of the target, in elements.
  ///
  /// Complexity: O(elements of the box); each element depends on its own index only, so any tile can be made alone.
  func fill(_ lower: [Int], _ count: [Int], _ strides: [Int], _ target: UnsafeMutableRawPointer) {
    switch self {
    case .scalar(let value): target.storeBytes(of: value, as: Float.self)
    case .zeros(_, let dtype):
      Kernels.forEachRun(count, strides) { offset, count, stride in
        let run = target + offset * dtype.size
        if stride == 1 {
          memset(run, 0, count * dtype.size)
        } else {
          for index in 0..<count { memset(run + index * stride * dtype.size, 0, dtype.size) }
        }
      }
    case .values(let values, let shape):
      Self.fill(shape, lower, count, strides, target) { values[$0] }
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
      Self.fill(shape, lower, count, strides, target) { deviation * Self.normal(seed, UInt64($0)) }
    case .uniform(let shape, let bound, let seed):
      Self.fill(shape, lower, count, strides, target) {
        Float(Double(bound) * (2 * Self.uniform(seed, UInt64($0)) - 1))
      }
    }
  }

  /// Writes float32 values that depend on the position of an element in the whole tensor alone.
  private static func fill(
    _ shape: [Int], _ lower: [Int], _ count: [Int], _ strides: [Int], _ target: UnsafeMutableRawPointer,
    _ value: (Int) -> Float
  ) {
    let flat = TensorShape.contiguousStrides(shape)
    let to = target.assumingMemoryBound(to: Float.self)
    func visit(_ axis: Int, _ index: Int, _ offset: Int) {
      guard axis < shape.count else {
        to[offset] = value(index)
        return
      }
      for position in 0..<count[axis] {
        visit(axis + 1, index + (lower[axis] + position) * flat[axis], offset + position * strides[axis])
      }
    }
    visit(0, 0, 0)
  }

  /// The `position`-th output of SplitMix64, as a number between 0 and 1.
  private static func uniform(_ seed: UInt64, _ position: UInt64) -> Double {
    var z = seed &+ (position &+ 1) &* 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    z ^= z >> 31
    return (Double(z >> 11) + 0.5) * 0x1p-53
  }

  /// The `index`-th value of a standard normal sequence: Box-Muller over two outputs of SplitMix64 at fixed positions.
  private static func normal(_ seed: UInt64, _ index: UInt64) -> Float {
    let radius = (-2 * log(uniform(seed, 2 &* index))).squareRoot()
    return Float(radius * cos(2 * Double.pi * uniform(seed, 2 &* index &+ 1)))
  }
}
