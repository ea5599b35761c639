extension TensorSource {
  /// Compares a storage with the CRC-32 that the container states; passes when it states none.
  ///
  /// Throws `.unreadableInput` when they differ. Reads the whole storage through 1 MiB of memory.
  public func verifyChecksum(of storage: StorageID, path: String) throws(ConversionError) {
    let descriptor = storages[storage.index]
    guard let expected = descriptor.crc32 else { return }
    let found = try streamedChecksum(of: descriptor.byteCount) { (offset, buffer) throws(ConversionError) in
      try read(storage, at: offset, into: buffer)
    }
    guard found == expected else {
      throw ConversionError(
        .unreadableInput, "\(path): storage \(storage.index) does not match its checksum; fetch the file again")
    }
  }
}

extension FileExtent {
  /// The CRC-32 of the bytes, read through 1 MiB of memory. Throws `.unreadableInput` when they cannot be read.
  func checksum() throws(ConversionError) -> UInt32 {
    try streamedChecksum(of: length) { (position, buffer) throws(ConversionError) in
      try file.read(at: offset + position, into: buffer)
    }
  }
}

private func streamedChecksum(
  of count: Int, read: (Int, UnsafeMutableRawBufferPointer) throws(ConversionError) -> Void
) throws(ConversionError) -> UInt32 {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(max(count, 1), 1 << 20), alignment: 64)
  defer { buffer.deallocate() }
  var checksum: UInt32 = 0
  var done = 0
  while done < count {
    let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, count - done)])
    try read(done, piece)
    checksum = Checksum.crc32(UnsafeRawBufferPointer(piece), continuing: checksum)
    done += piece.count
  }
  return checksum
}
