/// The element type of a numpy array or scalar in a pickle.
struct NumpyDType: Equatable {
  /// The torch type of the same layout.
  let dtype: DType
  /// True when the elements are big-endian; unknown, and taken as little-endian, until the state is set.
  var bigEndian = false

  /// The type that numpy abbreviates so, such as `f4`; nil for strings, objects, records and times.
  init?(_ code: String) {
    var letters = Substring(code)
    if let first = letters.first, "<>=|".contains(first) {
      bigEndian = first == ">"
      letters = letters.dropFirst()
    }
    switch letters {
    case "f8": dtype = .float64
    case "f4": dtype = .float32
    case "f2": dtype = .float16
    case "i8": dtype = .int64
    case "i4": dtype = .int32
    case "i2": dtype = .int16
    case "i1": dtype = .int8
    case "u8": dtype = .uint64
    case "u4": dtype = .uint32
    case "u2": dtype = .uint16
    case "u1": dtype = .uint8
    case "b1": dtype = .bool
    case "c8": dtype = .complex64
    case "c16": dtype = .complex128
    default: return nil
    }
  }

  /// The Python value of one element; nil when the bytes are not exactly one element.
  func scalar(_ bytes: [UInt8]) -> PickleValue? {
    guard bytes.count == dtype.size else { return nil }
    func bits(_ range: Range<Int>) -> UInt64 {
      bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    let all = bits(0..<min(bytes.count, 8))
    switch dtype {
    case .float64: return .double(Double(bitPattern: all))
    case .float32: return .double(Double(Float(bitPattern: UInt32(all))))
    case .float16: return .double(Self.half(UInt16(all)))
    case .int64: return .int(Int(bitPattern: UInt(all)))
    case .int32: return .int(Int(Int32(bitPattern: UInt32(all))))
    case .int16: return .int(Int(Int16(bitPattern: UInt16(all))))
    case .int8: return .int(Int(Int8(bitPattern: UInt8(all))))
    case .uint64: return Int(exactly: all).map(PickleValue.int) ?? .longInt(String(all))
    case .uint32, .uint16, .uint8: return .int(Int(all))
    case .bool: return .bool(all != 0)
    case .complex64:
      return .opaque(
        .complex(
          Double(Float(bitPattern: UInt32(bits(0..<4)))), Double(Float(bitPattern: UInt32(bits(4..<8))))))
    case .complex128: return .opaque(.complex(Double(bitPattern: all), Double(bitPattern: bits(8..<16))))
    default: return nil
    }
  }

  /// A binary16 number, without `Float16`, which not every platform has.
  private static func half(_ bits: UInt16) -> Double {
    let sign: FloatingPointSign = bits >> 15 == 0 ? .plus : .minus
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Double(bits & 0x3FF)
    switch exponent {
    case 0: return Double(sign: sign, exponent: -24, significand: fraction)
    case 31:
      if fraction != 0 { return .nan }
      return sign == .plus ? .infinity : -.infinity
    default: return Double(sign: sign, exponent: exponent - 25, significand: fraction + 1_024)
    }
  }
}
