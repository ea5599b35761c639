extension InputFile {
  /// Fetches the header of a remote checkpoint into the cache of the file. A caller with many shards does this for several at
  /// the same time, and opens them afterwards. Does nothing for a file on the disk.
  ///
  /// Throws when the bytes cannot be fetched. A header that is malformed is reported when the checkpoint is opened.
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
