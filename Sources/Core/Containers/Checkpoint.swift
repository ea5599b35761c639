/// Opens a checkpoint of any kind.
package enum Checkpoint {
  /// Opens a file by its content; the name does not matter.
  ///
  /// Reads headers only. `cacheBytes` is what decoded chunks of compressed checkpoints may take while it is read. Throws
  /// `.unreadableInput`, with what the file seems to be, when it is no checkpoint or is cut off, and `.hostileInput` when
  /// it breaks the rules of its format.
  package static func open(
    path: String, limits: Limits = .standard, cacheBytes: Int = 32 << 20, files: InputFiles = .onDisk
  ) throws(ConversionError) -> any TensorSource {
    guard !DistributedCheckpoint.owns(path: path) else {
      throw ConversionError(.unreadableInput, "\(files.name(path)) \(DistributedCheckpoint.wayOut)")
    }
    let file = try files.open(path)
    switch try CheckpointSignature(file: file) {
    case .torchZip: return try TorchZipReader(file: file, limits: limits)
    case .torchLegacy: return try TorchLegacyReader(file: file, limits: limits)
    case .safetensors: return try SafetensorsReader(file: file, limits: limits)
    case .hdf5: return try HDF5Reader(file: file, limits: limits, chunkCacheBytes: cacheBytes)
    case .other(let description): throw ConversionError(.unreadableInput, "\(file.path) \(description)")
    }
  }
}
