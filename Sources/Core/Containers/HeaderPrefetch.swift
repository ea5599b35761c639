extension InputFile {
  /// Asks for what opening the checkpoint is going to read first, so that whoever has many files can have them asked for at
  /// the same time. Nothing happens for a file on the disk.
  ///
  /// Throws when the bytes cannot be had. What is wrong with them, opening says.
  package func prefetchHeaders() throws(ConversionError) {
    guard isRemote else { return }
    do throws(ConversionError) {
      switch try CheckpointSignature(file: self) {
      case .torchZip:
        let end = try ZipEnd(file: self)
        _ = try bytes(at: end.offset, count: min(end.size, BlockCache.longestKept))
      case .safetensors:
        let length = try bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        _ = try bytes(at: 8, count: min(Int(clamping: length), size - 8, BlockCache.longestKept))
      case .torchLegacy, .hdf5, .other: break
      }
    } catch {
      guard error.kind == .unreadableInput || error.kind == .hostileInput else { throw error }
    }
  }
}
