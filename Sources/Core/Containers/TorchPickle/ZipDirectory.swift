/// The directory of a zip archive, read and checked without touching the content of any entry.
///
/// Reads what torch, miniz and Python write: zip64 or not, with data descriptors or without. Every entry is checked to
/// lie inside the file and not to overlap another. Source: PKWARE's APPNOTE.TXT, version 6.3.10.
///
/// Where the content of an entry begins stands in its local header, beside the content. In a file that is elsewhere each
/// of these headers costs a request, so it is read when the content is asked for, and not before.
struct ZipDirectory {
  struct Entry {
    let name: String
    /// Bytes in the archive, as the directory states them.
    let compressedSize: Int
    /// Bytes of the content, as the directory states them.
    let size: Int
    let crc32: UInt32
    /// 0 is stored.
    let method: UInt16
    let encrypted: Bool
    /// Offset of the local header.
    let headerOffset: Int
    /// Offset of the first byte of the content; nil until the local header was read.
    fileprivate(set) var dataOffset: Int?
    /// Bytes of the local header without extra fields.
    fileprivate var leastHeader: Int { 30 + name.utf8.count }
  }

  let file: InputFile
  /// The entries in the order of the directory.
  private(set) var entries: [Entry] = []
  private var indices: [String: Int] = [:]
  private var pacer = Interruption.Pacer()

  /// Reads the directory of a file.
  ///
  /// Throws `.unreadableInput` when the file is cut off or uses a feature of zip that torch does not, `.hostileInput`
  /// when the directory contradicts itself or the file. Complexity: O(entries log entries) and, when the file is on the
  /// disk, one small read for each entry.
  init(file: InputFile, limits: Limits) throws(ConversionError) {
    self.file = file
    let end = try ZipEnd(file: file)
    guard end.count <= limits.zipEntries else {
      throw hostile("the directory claims \(end.count) entries; at most \(limits.zipEntries) are read")
    }
    guard end.size <= limits.zipDirectory else {
      throw hostile("the directory claims \(end.size) bytes; at most \(limits.zipDirectory) are read")
    }
    guard end.count <= end.size / 46 else {
      throw hostile("the directory claims \(end.count) entries in \(end.size) bytes")
    }
    // The directory, and for each entry its name twice and the rest.
    try limits.take(3 * end.size + 320 * end.count)
    try readEntries(ZipBytes(try file.bytes(at: end.offset, count: end.size)), count: end.count)
    if !file.isRemote {
      for index in entries.indices {
        try pacer.step()
        entries[index].dataOffset = try locate(entries[index])
      }
    }
    try checkOverlaps(before: end.offset)
  }

  /// The entry of a name, nil when there is none. Complexity: O(1).
  subscript(_ name: String) -> Entry? { indices[name].map { entries[$0] } }

  /// The range of the file that holds an entry's content. Throws unless it is stored as it is.
  func content(_ entry: Entry) throws(ConversionError) -> FileExtent {
    guard !entry.encrypted else { throw unreadable("the entry \(entry.name) is encrypted") }
    guard entry.method == 0 else {
      throw unreadable("the entry \(entry.name) is compressed, which torch never does; save the checkpoint with torch")
    }
    guard entry.compressedSize == entry.size else {
      throw hostile("the entry \(entry.name) is stored, but claims two sizes")
    }
    let offset = if let known = entry.dataOffset { known } else { try locate(entry) }
    return FileExtent(file: file, offset: offset, length: entry.size)
  }

  // MARK: Reading

  private mutating func readEntries(_ bytes: ZipBytes, count: Int) throws(ConversionError) {
    var position = 0
    entries.reserveCapacity(count)
    indices.reserveCapacity(count)
    for _ in 0..<count {
      try pacer.step()
      guard bytes.has(46, at: position), bytes.u32(position) == 0x0201_4B50 else {
        throw hostile("the directory is damaged after \(entries.count) entries")
      }
      let nameLength = Int(bytes.u16(position + 28))
      let extraLength = Int(bytes.u16(position + 30))
      let next = position + 46 + nameLength + extraLength + Int(bytes.u16(position + 32))
      guard next <= bytes.count else { throw hostile("the directory is damaged after \(entries.count) entries") }
      let extra = position + 46 + nameLength
      var zip64 = ZipExtra64(bytes, range: extra..<extra + extraLength)
      let size = zip64.resolve(bytes.u32(position + 24))
      let compressedSize = zip64.resolve(bytes.u32(position + 20))
      let headerOffset = zip64.resolve(bytes.u32(position + 42))
      let name = bytes.text(position + 46..<extra)
      guard let size, let compressedSize, let headerOffset, bytes.u16(position + 34) == 0 else {
        throw hostile("the entry \(name) has an impossible size or place")
      }
      let index = entries.count
      guard indices.updateValue(index, forKey: name) == nil else { throw hostile("two entries are named \(name)") }
      let entry = Entry(
        name: name, compressedSize: compressedSize, size: size, crc32: bytes.u32(position + 16),
        method: bytes.u16(position + 10), encrypted: bytes.u16(position + 8) & 0x2041 != 0,
        headerOffset: headerOffset)
      // From here on no sum of offset, header and content can leave the range of Int.
      guard entry.headerOffset <= file.size - entry.leastHeader else {
        throw hostile("the entry \(name) starts beyond the end of the file")
      }
      entries.append(entry)
      position = next
    }
    guard position == bytes.count else { throw hostile("the directory holds more than the \(count) entries it claims") }
  }

  /// Finds the content of an entry from its local header, which must agree with the directory.
  private func locate(_ entry: Entry) throws(ConversionError) -> Int {
    let nameLength = entry.name.utf8.count
    let header = ZipBytes(try file.bytes(at: entry.headerOffset, count: entry.leastHeader))
    guard header.u32(0) == 0x0403_4B50, Int(header.u16(26)) == nameLength, header.u16(8) == entry.method,
      header.text(30..<entry.leastHeader) == entry.name
    else { throw hostile("the entry \(entry.name) and its local header disagree") }
    let dataOffset = entry.headerOffset + entry.leastHeader + Int(header.u16(28))
    guard dataOffset <= file.size, entry.compressedSize <= file.size - dataOffset else {
      throw hostile("the entry \(entry.name) runs past the end of the file")
    }
    return dataOffset
  }

  private func checkOverlaps(before directory: Int) throws(ConversionError) {
    var end = 0
    for entry in entries.sorted(by: { $0.headerOffset < $1.headerOffset }) {
      guard entry.headerOffset >= end else { throw hostile("the entry \(entry.name) overlaps another") }
      // Without its local header an entry takes at least what a header without extra fields takes.
      let start = entry.dataOffset ?? entry.headerOffset + entry.leastHeader
      guard start <= file.size, entry.compressedSize <= file.size - start else {
        throw hostile("the entry \(entry.name) runs past the end of the file")
      }
      end = start + entry.compressedSize
    }
    guard end <= directory else { throw hostile("an entry overlaps the directory") }
  }

  private func hostile(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(file.path): \(message)")
  }

  private func unreadable(_ message: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(file.path): \(message)")
  }
}

/// The zip64 extra field of a directory entry: 64-bit values for those fields that are all ones, in a fixed order.
private struct ZipExtra64 {
  private let bytes: ZipBytes
  private var rest: Range<Int>

  init(_ bytes: ZipBytes, range: Range<Int>) {
    self.bytes = bytes
    rest = range.upperBound..<range.upperBound
    var position = range.lowerBound
    while range.upperBound - position >= 4 {
      let length = Int(bytes.u16(position + 2))
      let end = position + 4 + length
      guard end <= range.upperBound else { return }
      if bytes.u16(position) == 1 {
        rest = position + 4..<end
        return
      }
      position = end
    }
  }

  /// The value of a 32-bit field, from the extra field when it is all ones; nil when it is missing there or too large.
  mutating func resolve(_ field: UInt32) -> Int? {
    guard field == .max else { return Int(field) }
    guard rest.count >= 8 else { return nil }
    let value = Int(exactly: bytes.u64(rest.lowerBound))
    rest = rest.lowerBound + 8..<rest.upperBound
    return value
  }
}
