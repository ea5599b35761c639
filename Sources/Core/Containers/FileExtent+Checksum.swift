extension FileExtent {
  /// The CRC-32 of the bytes, read through 1 MiB of memory. Throws `.unreadableInput` when they cannot be read.
  func checksum() throws(ConversionError) -> UInt32 {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(max(length, 1), 1 << 20), alignment: 64)
    defer { buffer.deallocate() }
    var checksum: UInt32 = 0
    var done = 0
    while done < length {
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, length - done)])
      try file.read(at: offset + done, into: piece)
      checksum = Checksum.crc32(UnsafeRawBufferPointer(piece), continuing: checksum)
      done += piece.count
    }
    return checksum
  }
}
