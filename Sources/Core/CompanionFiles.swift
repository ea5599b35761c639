import SystemPackage

/// Files that go to the outputs as they are, such as tokenizers: copied before the conversion begins and published with
/// what it wrote.
enum CompanionFiles {
  /// Copies files into a folder, where nobody sees them yet. A file that is there already with the same bytes is left out.
  ///
  /// Memory: 1 MiB. Throws `.outputFailed` when the folder has another file of that name, which is not ours to replace;
  /// `.hostileInput` for one beyond `Limits.companionBytes`; `.diskFull`; `.cancelled`.
  static func stage(
    _ paths: [String], in folder: String, messageName: (_ path: String) -> String = { $0 }
  ) throws(ConversionError) -> [StagedFile] {
    var staged: [StagedFile] = []
    for path in paths {
      let name = FilePath(path).lastComponent?.string ?? "companion"
      let file = try InputFile(path: path, name: name)
      guard file.size <= Limits.standard.companionBytes else {
        throw ConversionError(
          .hostileInput, "\(name) has \(file.size) bytes; at most \(Limits.standard.companionBytes) are carried")
      }
      let target = FilePath(folder).appending(name).string
      if let present = try? InputFile(path: target) {
        guard try isEqual(file, present) else { throw StagedFile.exists(messageName(target)) }
        continue
      }
      let copy = try StagedFile(path: target, name: messageName(target), replaces: false)
      try forEachPiece(of: file) { (bytes, offset) throws(ConversionError) in
        try copy.write(UnsafeRawBufferPointer(bytes), at: offset)
        return true
      }
      staged.append(copy)
    }
    return staged
  }

  private static func isEqual(_ file: InputFile, _ other: InputFile) throws(ConversionError) -> Bool {
    guard file.size == other.size else { return false }
    var isEqual = true
    try forEachPiece(of: file) { (bytes, offset) throws(ConversionError) in
      isEqual = try bytes.elementsEqual(other.bytes(at: offset, count: bytes.count))
      return isEqual
    }
    return isEqual
  }

  /// Reads a file piece by piece as long as `body` answers true. Throws `.cancelled` between two pieces.
  private static func forEachPiece(
    of file: InputFile, _ body: (UnsafeMutableRawBufferPointer, _ offset: Int) throws(ConversionError) -> Bool
  ) throws(ConversionError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < file.size {
      try Interruption.check()
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, file.size - offset)])
      try file.read(at: offset, into: piece)
      guard try body(piece, offset) else { return }
      offset += piece.count
    }
  }
}
