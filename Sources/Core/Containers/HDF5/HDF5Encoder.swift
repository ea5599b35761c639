/// Encodes the pieces of HDF5 metadata that a checkpoint needs, little-endian, byte for byte as libhdf5 1.10 with its
/// earliest format writes them.
struct HDF5Encoder {
  /// What was encoded so far.
  private(set) var bytes: [UInt8] = []

  /// The address that means none.
  static let undefined = UInt64.max

  mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Appends bytes as they are.
  mutating func append(_ other: some Sequence<UInt8>) { bytes.append(contentsOf: other) }

  /// Appends zeros up to a multiple of 8.
  mutating func pad() {
    while bytes.count % 8 != 0 { bytes.append(0) }
  }

  private static func encode(_ body: (inout HDF5Encoder) -> Void) -> [UInt8] {
    var encoder = HDF5Encoder()
    body(&encoder)
    return encoder.bytes
  }

  /// Bytes that a message of an object header may have: its size field has 16 bits and sizes are multiples of 8.
  static let messageLimit = 65_528

  /// A message of a version-1 object header, padded to 8 bytes. Precondition: at most `messageLimit` bytes.
  static func message(_ type: HDF5ObjectHeader.MessageType, _ body: [UInt8], isConstant: Bool = false) -> [UInt8] {
    encode {
      $0.append(UInt16(type.rawValue))
      $0.append(UInt16((body.count + 7) / 8 * 8))
      // Bit 0: the message never changes.
      $0.append([isConstant ? 1 : 0, 0, 0, 0])
      $0.append(body)
      $0.pad()
    }
  }

  /// The start of a version-1 object header, for messages in one block. Preconditions: fewer than 2^16 messages of less
  /// than 4 GiB.
  static func objectHeader(messageCount: Int, byteCount: Int) -> [UInt8] {
    encode {
      $0.append([1, 0])
      $0.append(UInt16(truncatingIfNeeded: messageCount))
      $0.append(UInt32(1))
      $0.append(UInt32(truncatingIfNeeded: byteCount))
      $0.append(UInt32(0))
    }
  }

  /// A whole version-2 object header of messages in their version-1 form, for any number of them.
  ///
  /// It says that attributes are kept in the header itself, which libhdf5 reads however many there are.
  /// Precondition: less than 4 GiB of messages.
  static func objectHeader2(_ messages: [UInt8]) -> [UInt8] {
    let attributeInfo = [UInt8](repeating: 0, count: 2) + [UInt8](repeating: 0xFF, count: 16)
    var body = HDF5Encoder()
    for message in [message(.attributeInfo, attributeInfo), messages] {
      var position = 0
      while position < message.count {
        let size = Int(message[position + 2]) | Int(message[position + 3]) << 8
        body.append([message[position], message[position + 2], message[position + 3], message[position + 4]])
        body.append(message[position + 8..<position + 8 + size])
        position += 8 + size
      }
    }
    return encode {
      $0.append("OHDR".utf8)
      // Version 2; the size of the block has four bytes.
      $0.append([2, 2])
      $0.append(UInt32(truncatingIfNeeded: body.bytes.count))
      $0.append(body.bytes)
      $0.append(HDF5Checksum.lookup3($0.bytes))
    }
  }

  // MARK: Datatypes and dataspaces

  /// The datatype of tensors; nil for element types that `cstorch.save` refuses. bfloat16 is kept as int16.
  static func datatype(_ dtype: DType) -> [UInt8]? {
    switch dtype {
    case .float16: float(size: 2, exponent: (10, 5), bias: 15)
    case .float32: float(size: 4, exponent: (23, 8), bias: 127)
    case .float64: float(size: 8, exponent: (52, 11), bias: 1023)
    case .int16, .bfloat16: integer(size: 2, signed: true)
    case .int32: integer(size: 4, signed: true)
    case .int64: integer(size: 8, signed: true)
    case .uint8: integer(size: 1, signed: false)
    case .bool: boolean
    default: nil
    }
  }

  /// A variable-length UTF-8 string.
  static let string: [UInt8] = encode {
    $0.append([0x19, 1, 1, 0])
    $0.append(UInt32(16))
    $0.append(integer(size: 1, signed: false))
  }

  /// h5py's boolean: an enumeration of FALSE and TRUE over one byte.
  static let boolean: [UInt8] = encode {
    $0.append([0x18, 2, 0, 0])
    $0.append(UInt32(1))
    $0.append(integer(size: 1, signed: true))
    $0.append("FALSE\0\0\0TRUE\0\0\0\0".utf8)
    $0.append([0, 1])
  }

  /// Bytes without a meaning, `size` of them in one element.
  static func opaque(size: Int) -> [UInt8] {
    encode {
      $0.append([0x15, 0, 0, 0])
      $0.append(UInt32(truncatingIfNeeded: size))
    }
  }

  private static func integer(size: Int, signed: Bool) -> [UInt8] {
    encode {
      $0.append([0x10, signed ? 8 : 0, 0, 0])
      $0.append(UInt32(truncatingIfNeeded: size))
      $0.append(UInt16(0))
      $0.append(UInt16(truncatingIfNeeded: 8 * size))
    }
  }

  private static func float(size: Int, exponent: (position: UInt8, size: UInt8), bias: UInt32) -> [UInt8] {
    encode {
      // Implied leading bit of the mantissa; the sign is the highest bit.
      $0.append([0x11, 0x20, UInt8(8 * size - 1), 0])
      $0.append(UInt32(truncatingIfNeeded: size))
      $0.append(UInt16(0))
      $0.append(UInt16(truncatingIfNeeded: 8 * size))
      $0.append([exponent.position, exponent.size, 0, exponent.position])
      $0.append(bias)
    }
  }

  /// A dataspace of version 1; `[]` is a scalar.
  static func dataspace(_ shape: [Int]) -> [UInt8] {
    encode {
      $0.append([1, UInt8(truncatingIfNeeded: shape.count), 0, 0, 0, 0, 0, 0])
      for dimension in shape { $0.append(UInt64(dimension)) }
    }
  }

  /// The dataspace without elements, which only version 2 has.
  static let nullDataspace: [UInt8] = [2, 0, 0, 2]

  // MARK: Messages of datasets

  /// The default fill value, written when it is set, space allocated late.
  static let fillValue: [UInt8] = [2, 2, 2, 1, 0, 0, 0, 0]

  /// A contiguous layout; data of no bytes has no address.
  static func contiguousLayout(offset: Int, byteCount: Int) -> [UInt8] {
    encode {
      $0.append([3, 1])
      $0.append(byteCount > 0 ? UInt64(offset) : undefined)
      $0.append(UInt64(byteCount))
    }
  }

  /// An attribute of version 1; nil when it is larger than a message may be.
  static func attribute(_ name: String, type: [UInt8], space: [UInt8], data: [UInt8]) -> [UInt8]? {
    let nameSize = name.utf8.count + 1
    guard nameSize <= Int(UInt16.max) else { return nil }
    let body = encode {
      $0.append([1, 0])
      for size in [nameSize, type.count, space.count] { $0.append(UInt16(truncatingIfNeeded: size)) }
      $0.append(name.utf8)
      $0.append(0 as UInt8)
      for part in [type, space] {
        $0.pad()
        $0.append(part)
      }
      $0.pad()
      $0.append(data)
    }
    return body.count <= messageLimit ? message(.attribute, body) : nil
  }
}
