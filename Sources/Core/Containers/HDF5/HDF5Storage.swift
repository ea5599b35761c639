/// Where the bytes of one tensor of an HDF5 checkpoint come from.
enum HDF5Storage: Sendable {
  /// A run of the file, as it is.
  case verbatim(offset: Int)
  /// A run of the file with big-endian elements of a size.
  case bigEndian(offset: Int, elementSize: Int)
  /// Bytes from the metadata, little-endian.
  case inline([UInt8])
  /// One element again and again, little-endian; empty for zeros.
  case constant([UInt8])
  case chunked(HDF5ChunkedData)

  /// Fills `buffer` with the bytes from `offset` on. Precondition: the range lies inside the storage.
  func read(_ file: InputFile, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    switch self {
    case .verbatim(let start): try file.read(at: start + offset, into: buffer)
    case .inline(let bytes):
      bytes.withUnsafeBytes { source in
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + buffer.count]))
      }
    case .constant(let element):
      // Once the first element stands, what stands is copied behind itself, twice as much each time.
      var done = min(max(element.count, 1), buffer.count)
      for index in 0..<done { buffer[index] = element.isEmpty ? 0 : element[(offset + index) % element.count] }
      while done < buffer.count {
        let count = min(done, buffer.count - done)
        UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        done += count
      }
    case .chunked(let data): try data.read(at: offset, into: buffer)
    case .bigEndian(let start, let size):
      // Whole elements are read, swapped, and the wanted bytes copied, a piece at a time.
      var done = 0
      while done < buffer.count {
        let first = (offset + done) / size * size
        let end = min(first + 65_536, (offset + buffer.count + size - 1) / size * size)
        var piece = try file.bytes(at: start + first, count: end - first)
        Self.swapBytes(&piece, elementSize: size)
        let skipped = offset + done - first
        let count = min(piece.count - skipped, buffer.count - done)
        piece.withUnsafeBytes { source in
          UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[skipped..<skipped + count]))
        }
        done += count
      }
    }
  }

  /// Reverses the bytes of each element. Precondition: `bytes` holds whole elements.
  static func swapBytes(_ bytes: inout [UInt8], elementSize: Int) {
    guard elementSize > 1 else { return }
    for start in stride(from: 0, to: bytes.count - elementSize + 1, by: elementSize) {
      bytes[start..<start + elementSize].reverse()
    }
  }

  /// `count` bytes that repeat an element; zeros when it is empty.
  static func repeating(_ element: [UInt8], count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    if element.contains(where: { $0 != 0 }) {
      for index in bytes.indices { bytes[index] = element[index % element.count] }
    }
    return bytes
  }
}
