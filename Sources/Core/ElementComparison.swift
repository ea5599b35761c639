/// Compares elements of two contiguous runs of one type.
struct ElementComparison {
  /// What may differ; nil demands equal bits.
  let tolerance: CheckpointComparison.Tolerance?

  /// What was found in a run.
  struct Outcome: Sendable {
    var differing = 0
    /// Position of the first of them.
    var first: Int?
    /// Largest difference of two finite numbers among them.
    var largest = 0.0
    /// True when one of them is infinity or NaN, which has no distance.
    var isUnbounded = false
  }

  /// Compares `count` elements. A complex number is two numbers, which are compared apart.
  ///
  /// Complexity: O(count).
  func compare(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ dtype: DType, count: Int) -> Outcome {
    func compare<Bits: FixedWidthInteger>(_ type: Bits.Type, parts: Int = 1, _ value: (Bits) -> Double) -> Outcome {
      let left = left.assumingMemoryBound(to: type)
      let right = right.assumingMemoryBound(to: type)
      var outcome = Outcome()
      for index in 0..<count {
        var differs = false
        for part in index * parts..<(index + 1) * parts where left[part] != right[part] {
          let (first, second) = (value(left[part]), value(right[part]))
          let distance = first == second ? 0 : abs(first - second)
          if let tolerance {
            if first.isNaN && second.isNaN { continue }
            if distance.isFinite, distance <= tolerance.absolute + tolerance.relative * abs(second) { continue }
          }
          differs = true
          if distance.isFinite { outcome.largest = max(outcome.largest, distance) } else { outcome.isUnbounded = true }
        }
        guard differs else { continue }
        outcome.differing += 1
        if outcome.first == nil { outcome.first = index }
      }
      return outcome
    }
    return switch dtype {
    case .float64: compare(UInt64.self) { Double(bitPattern: $0) }
    case .complex128: compare(UInt64.self, parts: 2) { Double(bitPattern: $0) }
    case .float32: compare(UInt32.self) { Double(Binary32.value(of: $0)) }
    case .complex64: compare(UInt32.self, parts: 2) { Double(Binary32.value(of: $0)) }
    case .float16: compare(UInt16.self) { Double(Binary16.value(of: $0)) }
    case .complex32: compare(UInt16.self, parts: 2) { Double(Binary16.value(of: $0)) }
    case .bfloat16: compare(UInt16.self) { Double(Brain16.value(of: $0)) }
    case .float8E4M3FN: compare(UInt8.self) { Double(E4M3FN.value(of: $0)) }
    case .float8E5M2: compare(UInt8.self) { Double(E5M2.value(of: $0)) }
    case .int64: compare(Int64.self) { Double($0) }
    case .int32: compare(Int32.self) { Double($0) }
    case .int16: compare(Int16.self) { Double($0) }
    case .int8: compare(Int8.self) { Double($0) }
    case .uint64: compare(UInt64.self) { Double($0) }
    case .uint32: compare(UInt32.self) { Double($0) }
    case .uint16: compare(UInt16.self) { Double($0) }
    case .uint8, .bool: compare(UInt8.self) { Double($0) }
    }
  }
}
