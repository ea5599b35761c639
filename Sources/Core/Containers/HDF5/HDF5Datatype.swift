/// An HDF5 datatype, as far as checkpoints use them.
enum HDF5Datatype: Sendable, Hashable {
  /// Numbers of a type that tensors have; booleans are the enumeration that h5py writes.
  case number(DType, bigEndian: Bool)
  /// Text of a fixed number of bytes, padded with NUL or space.
  case fixedString(Int)
  /// Text in a global heap; 16 bytes refer to it.
  case variableString
  /// Bytes without a meaning.
  case opaque(Int)
  /// Any other type, by a name for messages.
  case other(String)

  /// Bytes of one element, when the type is one that can be read.
  var size: Int? {
    switch self {
    case .number(let dtype, _): dtype.size
    case .fixedString(let size), .opaque(let size): size
    case .variableString: 16
    case .other: nil
    }
  }

  /// Reads a datatype message.
  init(_ body: HDF5Cursor) throws(ConversionError) {
    var cursor = body
    self = try Self.read(&cursor, nesting: 0)
  }

  private static func read(_ cursor: inout HDF5Cursor, nesting: Int) throws(ConversionError) -> HDF5Datatype {
    let classAndVersion = try cursor.u8()
    let bits = try cursor.u16()
    let highBits = try cursor.u8()
    let size = try cursor.u32()
    switch classAndVersion & 0x0F {
    case 0: return try integer(&cursor, bits: bits, size: size)
    case 1: return try float(&cursor, bits: bits, size: size)
    case 3: return .fixedString(size)
    case 5: return .opaque(size)
    case 8:
      guard nesting == 0 else { return .other("nested enumeration") }
      return try enumeration(&cursor, version: classAndVersion >> 4, members: bits, size: size)
    case 9: return bits & 0x0F == 1 && size == 16 ? .variableString : .other("variable-length sequence")
    case 2: return .other("time")
    case 4: return .other("bit field")
    case 6: return .other("compound")
    case 7: return .other("reference")
    case 10: return .other("array")
    default: return .other("class \(classAndVersion & 0x0F) (\(highBits))")
    }
  }

  private static func integer(
    _ cursor: inout HDF5Cursor, bits: Int, size: Int
  ) throws(ConversionError) -> HDF5Datatype {
    let bitOffset = try cursor.u16()
    let precision = try cursor.u16()
    guard bitOffset == 0, precision == size &* 8 else { return .other("integer with padding bits") }
    let dtype: DType
    switch (size, bits & 0x08 != 0) {
    case (1, true): dtype = .int8
    case (1, false): dtype = .uint8
    case (2, true): dtype = .int16
    case (2, false): dtype = .uint16
    case (4, true): dtype = .int32
    case (4, false): dtype = .uint32
    case (8, true): dtype = .int64
    case (8, false): dtype = .uint64
    default: return .other("\(size)-byte integer")
    }
    return .number(dtype, bigEndian: bits & 1 != 0)
  }

  private static func float(
    _ cursor: inout HDF5Cursor, bits: Int, size: Int
  ) throws(ConversionError) -> HDF5Datatype {
    try cursor.skip(2)
    let precision = try cursor.u16()
    try cursor.skip(1)
    let exponentSize = try cursor.u8()
    try cursor.skip(1)
    let mantissaSize = try cursor.u8()
    let isVAX = bits & 0x41 == 0x41
    switch (size, precision, exponentSize, mantissaSize) {
    case (2, 16, 5, 10) where !isVAX: return .number(.float16, bigEndian: bits & 1 != 0)
    case (2, 16, 8, 7) where !isVAX: return .number(.bfloat16, bigEndian: bits & 1 != 0)
    case (4, 32, 8, 23) where !isVAX: return .number(.float32, bigEndian: bits & 1 != 0)
    case (8, 64, 11, 52) where !isVAX: return .number(.float64, bigEndian: bits & 1 != 0)
    default: return .other("\(size)-byte float")
    }
  }

  /// Only h5py's boolean is known: one byte, FALSE = 0 and TRUE = 1.
  private static func enumeration(
    _ cursor: inout HDF5Cursor, version: Int, members: Int, size: Int
  ) throws(ConversionError) -> HDF5Datatype {
    guard members == 2, size == 1, case .number(let base, _) = try read(&cursor, nesting: 1), base.size == 1 else {
      return .other("enumeration")
    }
    var names: [String] = []
    for _ in 0..<2 {
      let start = cursor.position
      names.append(try cursor.terminatedString())
      // Names are padded to 8 bytes before version 3.
      if version < 3 { try cursor.skip((8 - (cursor.position - start) % 8) % 8) }
    }
    let values = [try cursor.u8(), try cursor.u8()]
    guard names == ["FALSE", "TRUE"], values == [0, 1] else { return .other("enumeration") }
    return .number(.bool, bigEndian: false)
  }
}

extension HDF5Datatype: CustomStringConvertible {
  var description: String {
    switch self {
    case .number(let dtype, _): dtype.rawValue
    case .fixedString, .variableString: "string"
    case .opaque: "opaque"
    case .other(let name): name
    }
  }
}
