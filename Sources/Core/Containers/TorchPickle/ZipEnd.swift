/// The end records of a zip archive: where the directory is.
struct ZipEnd {
  /// Entries of the directory.
  let count: Int
  /// Offset of the directory.
  let offset: Int
  /// Bytes of the directory.
  let size: Int

  /// Bytes at the end of a file in which an archive without a long comment has its end records.
  private static let shortTail = 4 << 10

  /// Finds the end record, which only a comment of at most 65535 bytes may follow.
  init(file: InputFile) throws(ConversionError) {
    // What torch writes has no comment: a file that is elsewhere is not asked for 64 KiB when the last few tell.
    var record = try Self.record(file, in: Self.shortTail)
    if record == nil { record = try Self.record(file, in: 22 + 0xFFFF) }
    guard let (tail, tailStart, found) = record else {
      throw ConversionError(
        .unreadableInput, "\(file.path): the end of the zip archive is missing; the file is cut off or was changed")
    }
    guard tail.u16(found + 4) == 0, tail.u16(found + 6) == 0, tail.u16(found + 8) == tail.u16(found + 10) else {
      throw ConversionError(.unreadableInput, "\(file.path): zip archives in several parts are not supported")
    }
    var count = UInt64(tail.u16(found + 10))
    var size = UInt64(tail.u32(found + 12))
    var offset = UInt64(tail.u32(found + 16))
    var end = tailStart + found
    if let record = try Self.record64(file, locator: end - 20) {
      count = record.bytes.u64(32)
      size = record.bytes.u64(40)
      offset = record.bytes.u64(48)
      end = record.start
    }
    // The directory ends where the end records begin; anything between them would be hidden from other readers.
    guard let size = Int(exactly: size), let offset = Int(exactly: offset), let count = Int(exactly: count),
      size <= end, offset == end - size
    else {
      throw ConversionError(
        .hostileInput, "\(file.path): the directory of the zip archive is not where its end record says")
    }
    self.count = count
    self.offset = offset
    self.size = size
  }

  /// The end record among the last bytes of a file: these bytes, where they begin, and its position among them.
  private static func record(
    _ file: InputFile, in count: Int
  ) throws(ConversionError) -> (tail: ZipBytes, start: Int, position: Int)? {
    let size = min(file.size, count)
    let tail = ZipBytes(try file.bytes(at: file.size - size, count: size))
    for position in stride(from: size - 22, through: 0, by: -1)
    where tail.u32(position) == 0x0605_4B50 && Int(tail.u16(position + 20)) == size - 22 - position {
      return (tail, file.size - size, position)
    }
    return nil
  }

  /// The zip64 end record that a locator points at; nil when there is no locator.
  private static func record64(
    _ file: InputFile, locator: Int
  ) throws(ConversionError) -> (bytes: ZipBytes, start: Int)? {
    guard locator >= 0 else { return nil }
    let bytes = ZipBytes(try file.bytes(at: locator, count: 20))
    guard bytes.u32(0) == 0x0706_4B50 else { return nil }
    guard let start = Int(exactly: bytes.u64(8)), locator >= 56, start <= locator - 56 else {
      throw ConversionError(.hostileInput, "\(file.path): the zip64 end record lies outside the file")
    }
    let record = ZipBytes(try file.bytes(at: start, count: 56))
    guard record.u32(0) == 0x0606_4B50, record.u32(16) == 0, record.u32(20) == 0, record.u64(24) == record.u64(32),
      let length = Int(exactly: record.u64(4)), length >= 44, length == locator - start - 12
    else {
      throw ConversionError(.hostileInput, "\(file.path): the zip64 end record is damaged")
    }
    return (record, start)
  }
}

/// Little-endian fields of a byte array. Callers check that a field lies inside.
struct ZipBytes {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var count: Int { bytes.count }

  func has(_ length: Int, at position: Int) -> Bool { position <= bytes.count - length }

  func u16(_ position: Int) -> UInt16 { UInt16(bytes[position]) | UInt16(bytes[position + 1]) << 8 }

  func u32(_ position: Int) -> UInt32 { UInt32(u16(position)) | UInt32(u16(position + 2)) << 16 }

  func u64(_ position: Int) -> UInt64 { UInt64(u32(position)) | UInt64(u32(position + 4)) << 32 }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}
