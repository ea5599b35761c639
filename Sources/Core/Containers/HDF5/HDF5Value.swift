/// The value of an HDF5 attribute. Scalars are arrays of one.
enum HDF5Value: Sendable, Hashable {
  /// Numbers in row-major order.
  case numbers([HDF5Number])
  case strings([String])
  /// Opaque bytes.
  case bytes([UInt8])
  /// A value of a type that checkpoints do not use, by the name of the type.
  case unsupported(String)

  /// The string, when there is exactly one.
  var string: String? {
    if case .strings(let strings) = self, strings.count == 1 { strings[0] } else { nil }
  }

  /// The number, when there is exactly one.
  var number: HDF5Number? {
    if case .numbers(let numbers) = self, numbers.count == 1 { numbers[0] } else { nil }
  }

  /// True for the boolean true and for numbers other than zero.
  var isTrue: Bool {
    switch number {
    case .bool(let flag): flag
    case .int(let value): value != 0
    case .unsigned(let value): value != 0
    case .double(let value): value != 0
    case nil: false
    }
  }

  /// The numbers as dimensions, when all are integers that are not negative; an empty array of any type is `[]`.
  var shape: [Int]? {
    guard case .numbers(let numbers) = self else { return nil }
    var shape: [Int] = []
    for number in numbers {
      guard case .int(let dimension) = number, dimension >= 0 else { return nil }
      shape.append(dimension)
    }
    return shape
  }
}

/// A number of an HDF5 file, as Python would show it.
enum HDF5Number: Sendable, Hashable {
  case bool(Bool)
  case int(Int)
  /// An integer above `Int.max`.
  case unsigned(UInt64)
  case double(Double)

  /// Decodes one element. Precondition: `bytes` holds `dtype.size` bytes, and `dtype` is none of the complex or 8-bit
  /// floating types, which HDF5 datatypes do not yield.
  init(_ bytes: ArraySlice<UInt8>, dtype: DType, bigEndian: Bool) {
    var bits: UInt64 = 0
    if bigEndian {
      for byte in bytes { bits = bits << 8 | UInt64(byte) }
    } else {
      for byte in bytes.reversed() { bits = bits << 8 | UInt64(byte) }
    }
    switch dtype {
    case .bool: self = .bool(bits != 0)
    case .float64: self = .double(Double(bitPattern: bits))
    case .float32: self = .double(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
    case .float16: self = .double(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
    case .bfloat16: self = .double(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits << 16))))
    case .int8: self = .int(Int(Int8(truncatingIfNeeded: bits)))
    case .int16: self = .int(Int(Int16(truncatingIfNeeded: bits)))
    case .int32: self = .int(Int(Int32(truncatingIfNeeded: bits)))
    case .int64: self = .int(Int(truncatingIfNeeded: bits))
    case .uint64 where bits > UInt64(Int.max): self = .unsigned(bits)
    default: self = .int(Int(truncatingIfNeeded: bits))
    }
  }

  /// The value as a float.
  var double: Double {
    switch self {
    case .bool(let flag): flag ? 1 : 0
    case .int(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .double(let value): value
    }
  }

  /// The same value in an object tree.
  func tree<Tensor>() -> ObjectTree<Tensor> {
    switch self {
    case .bool(let flag): .bool(flag)
    case .int(let value): .int(value)
    case .unsigned(let value): .longInt("\(value)")
    case .double(let value): .double(value)
    }
  }
}
