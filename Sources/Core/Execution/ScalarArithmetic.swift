/// Computes `ScalarOperation` on elements in place.
enum ScalarArithmetic {
  /// Passes each element of a strided box through an operation. Strides count elements.
  ///
  /// The float8 types, for which torch 2.4 has no arithmetic, are computed as the other small types are. A type that is
  /// not a real floating-point type is left alone. Complexity: O(elements), vectorised along an axis of stride 1.
  static func apply(
    _ operation: ScalarOperation, _ dtype: DType, counts: [Int], strides: [Int], _ target: UnsafeMutableRawPointer
  ) {
    switch dtype {
    case .float64: apply(operation, counts, strides, target.assumingMemoryBound(to: Double.self))
    case .float32: apply(operation, as: Binary32.self, counts, strides, target)
    case .float16: apply(operation, as: Binary16.self, counts, strides, target)
    case .bfloat16: apply(operation, as: Brain16.self, counts, strides, target)
    case .float8E4M3FN: apply(operation, as: E4M3FN.self, counts, strides, target)
    case .float8E5M2: apply(operation, as: E5M2.self, counts, strides, target)
    default: break
    }
  }

  private static func apply<Format: ReadableFloat & WritableFloat>(
    _ operation: ScalarOperation, as format: Format.Type, _ counts: [Int], _ strides: [Int],
    _ target: UnsafeMutableRawPointer
  ) {
    let target = target.assumingMemoryBound(to: Format.Bits.self)
    let factor = Float(operation.scalar)
    // A sum or difference takes the number in the type of the tensor.
    let term = Format.value(of: Format.bits(of: factor))
    @inline(__always) func each(_ compute: (Float) -> Float) {
      update(counts, strides, target) { Format.bits(of: compute(Format.value(of: $0))) }
    }
    switch operation.kind {
    case .multiply: each { $0 * factor }
    case .divide: each { $0 / factor }
    case .add: each { $0 + term }
    case .subtract: each { $0 - term }
    }
  }

  private static func apply(
    _ operation: ScalarOperation, _ counts: [Int], _ strides: [Int], _ target: UnsafeMutablePointer<Double>
  ) {
    let scalar = operation.scalar
    switch operation.kind {
    case .multiply: update(counts, strides, target) { $0 * scalar }
    case .divide: update(counts, strides, target) { $0 / scalar }
    case .add: update(counts, strides, target) { $0 + scalar }
    case .subtract: update(counts, strides, target) { $0 - scalar }
    }
  }

  @inline(__always)
  private static func update<Element>(
    _ counts: [Int], _ strides: [Int], _ target: UnsafeMutablePointer<Element>, _ compute: (Element) -> Element
  ) {
    Kernels.forEachRun(counts, strides) { offset, count, stride in
      let run = target + offset
      // The loop of stride 1 stands alone, so that it is vectorised.
      if stride == 1 {
        for index in 0..<count { run[index] = compute(run[index]) }
      } else {
        for index in 0..<count { run[index &* stride] = compute(run[index &* stride]) }
      }
    }
  }
}
