/// A position in a block of HDF5 metadata. Every read is checked against the end of the block.
///
/// Integers are little-endian. Copies share the bytes.
struct HDF5Cursor: Sendable {
  private let storage: [UInt8]
  /// Next byte.
  private(set) var position: Int
  /// One past the last byte.
  let end: Int
  /// The file, for messages.
  let path: String
  /// What the bytes are, for messages.
  let what: String

  /// A cursor at the start of a block.
  init(_ bytes: [UInt8], path: String, what: String) {
    storage = bytes
    position = 0
    end = bytes.count
    self.path = path
    self.what = what
  }

  private init(_ other: HDF5Cursor, count: Int, what: String) {
    storage = other.storage
    position = other.position
    end = other.position + count
    path = other.path
    self.what = what
  }

  /// Bytes left.
  var remaining: Int { end - position }

  private func require(_ count: Int) throws(ConversionError) {
    guard count >= 0, count <= remaining else {
      throw ConversionError(.hostileInput, "\(path) is damaged: an HDF5 \(what) ends early")
    }
  }

  private mutating func integer(_ count: Int) throws(ConversionError) -> UInt64 {
    try require(count)
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(storage[position + index]) << UInt64(8 * index) }
    position += count
    return value
  }

  /// One byte.
  mutating func u8() throws(ConversionError) -> Int { Int(try integer(1)) }
  /// Two bytes.
  mutating func u16() throws(ConversionError) -> Int { Int(try integer(2)) }
  /// Four bytes.
  mutating func u32() throws(ConversionError) -> Int { Int(try integer(4)) }
  /// Eight bytes.
  mutating func u64() throws(ConversionError) -> UInt64 { try integer(8) }

  /// Eight bytes that must fit an `Int`.
  mutating func length() throws(ConversionError) -> Int {
    let value = try u64()
    guard let length = Int(exactly: value) else {
      throw ConversionError(.hostileInput, "\(path) is damaged: an HDF5 \(what) states a length of \(value)")
    }
    return length
  }

  /// An address, or nil for the undefined address (all bits set).
  mutating func address() throws(ConversionError) -> Int? {
    let value = try u64()
    if value == .max { return nil }
    guard let address = Int(exactly: value) else {
      throw ConversionError(.hostileInput, "\(path) is damaged: an HDF5 \(what) holds the bad address \(value)")
    }
    return address
  }

  /// Passes over bytes.
  mutating func skip(_ count: Int) throws(ConversionError) {
    try require(count)
    position += count
  }

  /// The next bytes.
  mutating func bytes(_ count: Int) throws(ConversionError) -> ArraySlice<UInt8> {
    try require(count)
    defer { position += count }
    return storage[position..<position + count]
  }

  /// A cursor over the next bytes alone; this one moves past them.
  mutating func sub(_ count: Int, what: String) throws(ConversionError) -> HDF5Cursor {
    try require(count)
    defer { position += count }
    return HDF5Cursor(self, count: count, what: what)
  }

  /// Text up to a NUL byte, which is passed over, or up to the end of the block.
  mutating func terminatedString() throws(ConversionError) -> String {
    let stop = storage[position..<end].firstIndex(of: 0) ?? end
    guard let text = String(validating: storage[position..<stop], as: UTF8.self) else {
      throw ConversionError(.hostileInput, "\(path) is damaged: a name in an HDF5 \(what) is not valid UTF-8")
    }
    position = min(stop + 1, end)
    return text
  }

  /// A cursor at a distance from the start of the whole block.
  func seeking(to offset: Int) throws(ConversionError) -> HDF5Cursor {
    var copy = self
    guard offset >= 0, offset <= end else {
      throw ConversionError(.hostileInput, "\(path) is damaged: an HDF5 \(what) is referred to beyond its end")
    }
    copy.position = offset
    return copy
  }

  /// Fails unless the next four bytes spell a signature.
  mutating func expect(signature: StaticString) throws(ConversionError) {
    let found = try bytes(4)
    guard signature.withUTF8Buffer({ found.elementsEqual($0) }) else {
      throw ConversionError(.hostileInput, "\(path) is damaged: an HDF5 \(what) does not begin with \(signature)")
    }
  }
}
