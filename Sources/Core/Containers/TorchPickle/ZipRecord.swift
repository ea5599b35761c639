/// One stored entry of a zip archive being written, with the bytes around its content as torch's writer lays them.
///
/// The CRC-32 stands in a data descriptor after the content and in the directory, so the local header needs no data.
/// zip64 fields appear only where a size or offset does not fit 32 bits.
struct ZipRecord {
  let name: String
  /// Bytes of the content.
  let size: Int
  /// The content when it is known from the start.
  let content: [UInt8]?
  /// Offset of the local header.
  let headerOffset: Int
  /// Offset of the content, a multiple of 64.
  let dataOffset: Int
  /// Offset after content and descriptor; nil when it is no file offset.
  let end: Int?

  private static let alignment = 64
  private static let limit32 = Int(UInt32.max)

  /// The entry that starts at an offset.
  init(name: String, size: Int, content: [UInt8]?, headerOffset: Int) {
    self.name = name
    self.size = size
    self.content = content
    self.headerOffset = headerOffset
    let extra = Self.extra64(size: size, headerOffset: headerOffset).count
    // Local header, name, zip64 field, and the 4 bytes that introduce the padding.
    let unaligned = headerOffset + 30 + name.utf8.count + extra + 4
    dataOffset = (unaligned + Self.alignment - 1) / Self.alignment * Self.alignment
    let (end, overflow) = dataOffset.addingReportingOverflow(size)
    // 2^62 leaves room for the descriptor and the next header.
    self.end = overflow || end > 1 << 62 ? nil : end + Self.descriptorSize(size: size, headerOffset: headerOffset)
  }

  /// Header, name, zip64 field, and padding up to the content in a field of its own named "FB".
  var localHeader: [UInt8] {
    let extra = Self.extra64(size: size, headerOffset: headerOffset)
    let padding = dataOffset - headerOffset - 30 - name.utf8.count - extra.count - 4
    var bytes = LittleEndianBytes()
    bytes.u32(0x0403_4B50)
    bytes.u16(0)
    bytes.u16(flags)
    bytes.zeros(18)
    bytes.u16(name.utf8.count)
    bytes.u16(extra.count + 4 + padding)
    bytes.append(Array(name.utf8))
    bytes.append(extra)
    bytes.append(Array("FB".utf8))
    bytes.u16(padding)
    bytes.append(Array(repeating: UInt8(ascii: "Z"), count: padding))
    return bytes.bytes
  }

  /// The CRC-32 and sizes that follow the content; nothing for an empty one.
  func descriptor(_ checksum: UInt32) -> [UInt8] {
    let size64 = Self.descriptorSize(size: size, headerOffset: headerOffset)
    var bytes = LittleEndianBytes()
    if size64 == 0 { return [] }
    bytes.u32(0x0807_4B50)
    bytes.u32(Int(checksum))
    for _ in 0..<2 { if size64 == 24 { bytes.u64(size) } else { bytes.u32(size) } }
    return bytes.bytes
  }

  /// The entry of the directory.
  func directoryEntry(_ checksum: UInt32) -> [UInt8] {
    let extra = Self.extra64(size: size, headerOffset: headerOffset)
    var bytes = LittleEndianBytes()
    bytes.u32(0x0201_4B50)
    bytes.u16(0)
    bytes.u16(extra.isEmpty ? 0 : 45)
    bytes.u16(flags)
    bytes.zeros(6)
    bytes.u32(Int(checksum))
    bytes.u32(min(size, Self.limit32))
    bytes.u32(min(size, Self.limit32))
    bytes.u16(name.utf8.count)
    bytes.u16(extra.count)
    bytes.zeros(10)
    bytes.u32(min(headerOffset, Self.limit32))
    bytes.append(Array(name.utf8))
    bytes.append(extra)
    return bytes.bytes
  }

  /// What follows the directory: the end record, and before it the zip64 ones when a number does not fit.
  static func endRecords(count: Int, directoryOffset: Int, directorySize: Int) -> [UInt8] {
    var bytes = LittleEndianBytes()
    if count >= 0xFFFF || directoryOffset >= limit32 || directorySize >= limit32 {
      bytes.u32(0x0606_4B50)
      bytes.u64(44)
      bytes.u16(45)
      bytes.u16(45)
      bytes.zeros(8)
      bytes.u64(count)
      bytes.u64(count)
      bytes.u64(directorySize)
      bytes.u64(directoryOffset)
      bytes.u32(0x0706_4B50)
      bytes.u32(0)
      bytes.u64(directoryOffset + directorySize)
      bytes.u32(1)
    }
    bytes.u32(0x0605_4B50)
    bytes.u32(0)
    bytes.u16(min(count, 0xFFFF))
    bytes.u16(min(count, 0xFFFF))
    bytes.u32(min(directorySize, limit32))
    bytes.u32(min(directoryOffset, limit32))
    bytes.u16(0)
    return bytes.bytes
  }

  /// Names are UTF-8 (bit 11); sizes follow the content (bit 3) unless there is none.
  private var flags: Int { size == 0 ? 0x0800 : 0x0808 }

  private static func extra64(size: Int, headerOffset: Int) -> [UInt8] {
    var fields = LittleEndianBytes()
    if size >= limit32 {
      fields.u64(size)
      fields.u64(size)
    }
    if headerOffset >= limit32 { fields.u64(headerOffset) }
    guard !fields.bytes.isEmpty else { return [] }
    var bytes = LittleEndianBytes()
    bytes.u16(1)
    bytes.u16(fields.bytes.count)
    bytes.append(fields.bytes)
    return bytes.bytes
  }

  private static func descriptorSize(size: Int, headerOffset: Int) -> Int {
    if size == 0 { return 0 }
    return size >= limit32 || headerOffset >= limit32 ? 24 : 16
  }
}

/// Bytes being put together from little-endian numbers.
private struct LittleEndianBytes {
  private(set) var bytes: [UInt8] = []

  mutating func u16(_ value: Int) { number(value, 2) }
  mutating func u32(_ value: Int) { number(value, 4) }
  mutating func u64(_ value: Int) { number(value, 8) }
  mutating func zeros(_ count: Int) { bytes += Array(repeating: 0, count: count) }
  mutating func append(_ more: [UInt8]) { bytes += more }

  private mutating func number(_ value: Int, _ count: Int) {
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
}
