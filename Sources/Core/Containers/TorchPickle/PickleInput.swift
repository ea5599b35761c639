/// The bytes of one or more pickles, read forwards through a window, so that a pickle of any size takes little memory.
struct PickleInput {
  /// What the bytes are called in messages.
  let name: String
  private let file: InputFile?
  private let end: Int
  /// Offset in the file of the first byte of the window.
  private var windowStart: Int
  private var window: [UInt8]
  private var cursor = 0
  private let windowSize: Int

  /// The bytes of `range` of a file. Precondition: the range lies inside the file.
  init(file: InputFile, range: Range<Int>, windowSize: Int = 256 << 10) {
    name = file.path
    self.file = file
    self.windowSize = windowSize
    windowStart = range.lowerBound
    end = range.upperBound
    window = []
  }

  /// Bytes in memory.
  init(bytes: [UInt8], name: String) {
    self.name = name
    file = nil
    windowSize = bytes.count
    windowStart = 0
    end = bytes.count
    window = bytes
  }

  /// Offset of the next byte, in the file when there is one.
  var position: Int { windowStart + cursor }

  /// The next byte.
  mutating func byte() throws(ConversionError) -> UInt8 {
    if cursor == window.count { try refill(1) }
    defer { cursor += 1 }
    return window[cursor]
  }

  /// A little-endian unsigned integer of up to 8 bytes.
  mutating func littleEndian(_ count: Int) throws(ConversionError) -> UInt64 {
    if window.count - cursor < count { try refill(count) }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(window[cursor + index]) << UInt64(8 * index) }
    cursor += count
    return value
  }

  /// The next `count` bytes. The caller has checked `count` against a limit; that so many are left is checked here,
  /// before anything is allocated.
  mutating func take(_ count: Int) throws(ConversionError) -> ArraySlice<UInt8> {
    if window.count - cursor < count { try refill(count) }
    defer { cursor += count }
    return window[cursor..<cursor + count]
  }

  /// The text up to the next newline, which is consumed but not returned.
  mutating func line() throws(ConversionError) -> String {
    var bytes: [UInt8] = []
    while true {
      let next = try byte()
      if next == 0x0A { return String(decoding: bytes, as: UTF8.self) }
      guard bytes.count < 4_096 else {
        throw ConversionError(.hostileInput, "\(name): a line of the pickle is longer than 4096 bytes")
      }
      bytes.append(next)
    }
  }

  /// Moves the window so that it holds at least `count` bytes from the cursor on.
  private mutating func refill(_ count: Int) throws(ConversionError) {
    let start = position
    guard let file, count <= end - start else {
      throw ConversionError(
        .unreadableInput, "\(name): the pickle ends early: \(count) bytes are needed at byte \(start)")
    }
    window = try file.bytes(at: start, count: min(max(count, windowSize), end - start))
    windowStart = start
    cursor = 0
  }
}
