/// Changes of precision, bit for bit as `torch.Tensor.to(dtype)` computes them.
///
/// Every value passes through float32, as in torch: a float64 is rounded to float32 first and then to the target. Rounding
/// is to nearest, ties to even; NaN stays NaN, values beyond the largest number become infinite.
enum FloatCast {
  /// Converts a contiguous run into elements that lie `stride` elements apart.
  ///
  /// Returns how many finite values became infinite. Precondition: both types are floating-point types, the target one of
  /// float32, float16 and bfloat16. Complexity: O(count), without branches per element for the 16 and 32 bit types.
  static func convert(
    _ source: UnsafeRawPointer, _ from: DType, to target: UnsafeMutableRawPointer, _ to: DType, count: Int, stride: Int
  ) -> Int {
    switch from {
    case .float64: convert(Binary64.self, source, to: target, to, count, stride)
    case .float16: convert(Binary16.self, source, to: target, to, count, stride)
    case .bfloat16: convert(Brain16.self, source, to: target, to, count, stride)
    case .float8E4M3FN: convert(E4M3FN.self, source, to: target, to, count, stride)
    case .float8E5M2: convert(E5M2.self, source, to: target, to, count, stride)
    default: convert(Binary32.self, source, to: target, to, count, stride)
    }
  }

  private static func convert<Source: ReadableFloat>(
    _ type: Source.Type, _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, _ to: DType, _ count: Int,
    _ stride: Int
  ) -> Int {
    switch to {
    case .float16: convert(type, Binary16.self, source, target, count, stride)
    case .bfloat16: convert(type, Brain16.self, source, target, count, stride)
    default: convert(type, Binary32.self, source, target, count, stride)
    }
  }

  @inline(__always)
  private static func convert<Source: ReadableFloat, Target: WritableFloat>(
    _: Source.Type, _: Target.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ count: Int,
    _ stride: Int
  ) -> Int {
    let from = source.assumingMemoryBound(to: Source.Bits.self)
    let to = target.assumingMemoryBound(to: Target.Bits.self)
    var overflows = 0
    var place = 0
    for index in 0..<count {
      let bits = from[index]
      let result = Target.bits(of: Source.value(of: bits))
      overflows &+= Source.isFinite(bits) && Target.isInfinite(result) ? 1 : 0
      to[place] = result
      place &+= stride
    }
    return overflows
  }
}

/// A floating-point type that casts and arithmetic read.
protocol ReadableFloat {
  associatedtype Bits: FixedWidthInteger & UnsignedInteger
  /// The value as float32; exact for every type but float64.
  static func value(of bits: Bits) -> Float
  static func isFinite(_ bits: Bits) -> Bool
}

/// A floating-point type that casts and arithmetic write.
protocol WritableFloat {
  associatedtype Bits: FixedWidthInteger & UnsignedInteger
  /// The nearest value, ties to even.
  static func bits(of value: Float) -> Bits
  static func isInfinite(_ bits: Bits) -> Bool
}

private enum Binary64: ReadableFloat {
  @inline(__always) static func value(of bits: UInt64) -> Float { Float(Double(bitPattern: bits)) }
  @inline(__always) static func isFinite(_ bits: UInt64) -> Bool {
    bits & 0x7FF0_0000_0000_0000 != 0x7FF0_0000_0000_0000
  }
}

enum Binary32: ReadableFloat, WritableFloat {
  @inline(__always) static func value(of bits: UInt32) -> Float { Float(bitPattern: bits) }
  @inline(__always) static func isFinite(_ bits: UInt32) -> Bool { bits & 0x7F80_0000 != 0x7F80_0000 }
  @inline(__always) static func bits(of value: Float) -> UInt32 { value.bitPattern }
  @inline(__always) static func isInfinite(_ bits: UInt32) -> Bool { bits & 0x7FFF_FFFF == 0x7F80_0000 }
}

/// The upper half of a float32.
enum Brain16: ReadableFloat, WritableFloat {
  @inline(__always) static func value(of bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }
  @inline(__always) static func isFinite(_ bits: UInt16) -> Bool { bits & 0x7F80 != 0x7F80 }
  @inline(__always) static func isInfinite(_ bits: UInt16) -> Bool { bits & 0x7FFF == 0x7F80 }

  @inline(__always) static func bits(of value: Float) -> UInt16 {
    let bits = value.bitPattern
    // Adding just under half of the last place, and the last bit itself, rounds ties to even; the carry may reach infinity.
    let rounded = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
    let quiet = UInt16(truncatingIfNeeded: bits >> 16) | 0x40
    return bits & 0x7FFF_FFFF > 0x7F80_0000 ? quiet : rounded
  }
}

/// IEEE 754 half precision: 5 bits of exponent, 10 of fraction.
enum Binary16: ReadableFloat, WritableFloat {
  @inline(__always) static func isFinite(_ bits: UInt16) -> Bool { bits & 0x7C00 != 0x7C00 }
  @inline(__always) static func isInfinite(_ bits: UInt16) -> Bool { bits & 0x7FFF == 0x7C00 }

  @inline(__always) static func value(of bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let magnitude = UInt32(bits & 0x7FFF) << 13
    // Read with float32's exponent the value is too small by 2^112; the product is exact, subnormal or not.
    let scaled = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
    let special = magnitude | 0x7F80_0000
    return Float(bitPattern: sign | (bits & 0x7C00 == 0x7C00 ? special : scaled))
  }

  @inline(__always) static func bits(of value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    // Normal: as in bfloat16, with the exponent's bias moved from 127 to 15.
    let normal = (magnitude &- 112 << 23 &+ 0xFFF &+ (magnitude >> 13 & 1)) >> 13
    // Subnormal: adding 0.5 leaves the value, in units of 2^-24, in the last bits of the fraction; the adder rounds.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- Float(0.5).bitPattern
    var result = magnitude < 113 << 23 ? subnormal : normal
    // 65520 is half way between the largest number and the one after it.
    if magnitude >= 0x477F_F000 { result = 0x7C00 }
    if magnitude > 0x7F80_0000 { result = 0x7E00 | magnitude >> 13 & 0x3FF }
    return sign | UInt16(truncatingIfNeeded: result)
  }
}

/// 4 bits of exponent, 3 of fraction, no infinity; source: OCP 8-bit Floating Point Specification (OFP8).
enum E4M3FN: ReadableFloat, WritableFloat {
  @inline(__always) static func isFinite(_ bits: UInt8) -> Bool { bits & 0x7F != 0x7F }

  @inline(__always) static func value(of bits: UInt8) -> Float {
    let sign = UInt32(bits & 0x80) << 24
    let magnitude = UInt32(bits & 0x7F)
    // As for half precision; the bias is 7, so the value is too small by 2^120.
    let scaled = (Float(bitPattern: magnitude << 20) * 0x1p120).bitPattern
    return Float(bitPattern: sign | (magnitude == 0x7F ? 0x7FC0_0000 : scaled))
  }

  @inline(__always) static func isInfinite(_ bits: UInt8) -> Bool { false }

  @inline(__always) static func bits(of value: Float) -> UInt8 {
    let sign = UInt8(truncatingIfNeeded: value.bitPattern >> 24) & 0x80
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let normal = (magnitude &- 120 << 23 &+ 0x7_FFFF &+ (magnitude >> 20 & 1)) >> 20
    // As for half precision, in units of 2^-9.
    let subnormal = (Float(bitPattern: magnitude) + 0x1p14).bitPattern &- Float(0x1p14).bitPattern
    var result = magnitude < 121 << 23 ? subnormal : normal
    // 464 is half way between the largest number, 448, and the one that would come after it; beyond is NaN.
    if magnitude > Float(464).bitPattern { result = 0x7F }
    return sign | UInt8(truncatingIfNeeded: result)
  }
}

/// 5 bits of exponent, 2 of fraction: the upper half of a float16.
enum E5M2: ReadableFloat, WritableFloat {
  @inline(__always) static func isFinite(_ bits: UInt8) -> Bool { bits & 0x7C != 0x7C }
  @inline(__always) static func value(of bits: UInt8) -> Float { Binary16.value(of: UInt16(bits) << 8) }
  @inline(__always) static func isInfinite(_ bits: UInt8) -> Bool { bits & 0x7F == 0x7C }

  @inline(__always) static func bits(of value: Float) -> UInt8 {
    let sign = UInt8(truncatingIfNeeded: value.bitPattern >> 24) & 0x80
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    let normal = (magnitude &- 112 << 23 &+ 0xF_FFFF &+ (magnitude >> 21 & 1)) >> 21
    // As for half precision, in units of 2^-16.
    let subnormal = (Float(bitPattern: magnitude) + 0x1p7).bitPattern &- Float(0x1p7).bitPattern
    var result = magnitude < 113 << 23 ? subnormal : normal
    // 61440 is half way between the largest number, 57344, and the one after it.
    if magnitude >= Float(61_440).bitPattern { result = 0x7C }
    if magnitude > 0x7F80_0000 { result = 0x7F }
    return sign | UInt8(truncatingIfNeeded: result)
  }
}
