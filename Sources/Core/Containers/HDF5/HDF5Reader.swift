/// A Cerebras checkpoint in HDF5, of any layout from release 1.7 to 2.10.
///
/// Opening reads metadata only: the object tree is built, no tensor byte is touched. Contiguous little-endian data is
/// offered as a `FileExtent`; compressed chunks are decoded when they are read. Reads are safe from several threads.
///
/// Memory: on opening, about 2 KB for each leaf, of which the tree and the storages stay; later at most
/// `chunkCacheBytes` of decoded chunks.
final class HDF5Reader: TensorSource {
  let kind = ContainerKind.hdf5
  /// The object tree, entries in the order in which they were saved. Numpy arrays are tensors in it.
  let tree: ObjectTree<TensorDescriptor>
  /// One storage for each dataset and for each constant tensor.
  let storages: [StorageDescriptor]
  private let input: InputFile
  private let data: [HDF5Storage]

  /// True when a file that begins with these bytes is HDF5. Eight bytes are needed.
  static func recognizes(_ prefix: some Sequence<UInt8>) -> Bool { prefix.starts(with: HDF5File.signature) }

  /// Opens a checkpoint.
  ///
  /// `chunkCacheBytes` should hold a row of chunks of the widest matrix; 32 MiB do for models of 70 billion parameters.
  ///
  /// Throws `.unreadableInput` when the file is no complete checkpoint, refers to another file or uses a part of HDF5
  /// that no release writes, `.hostileInput` when it is damaged, exceeds a limit or holds a pickled class that is not
  /// known. Complexity: O(metadata).
  init(
    file input: InputFile, limits: Limits = .standard, chunkCacheBytes: Int = 32 << 20
  ) throws(ConversionError) {
    let contents = try HDF5Contents(file: try HDF5File(input: input, limits: limits), chunkCacheBytes: chunkCacheBytes)
    guard contents.attributes["__spec__"] != nil else {
      throw ConversionError(
        .unreadableInput, "\(input.path) is HDF5 but no Cerebras checkpoint: the attribute __spec__ is missing")
    }
    // Files of release 1.7 have no version; 0.5 came with release 2.1.
    let version = try contents.attribute("__version__")?.number?.double ?? 0.1
    tree = version < 0.5 ? try LegacyLayout(contents, version: version).tree() : try CurrentLayout(contents).tree()
    self.input = input
    data = contents.storages
    storages = zip(contents.storages, contents.byteCounts).map { storage, byteCount in
      guard case .verbatim(let offset) = storage else { return StorageDescriptor(byteCount: byteCount, extent: nil) }
      return StorageDescriptor(
        byteCount: byteCount, extent: FileExtent(file: input, offset: offset, length: byteCount))
    }
  }

  /// Fills `buffer` with the bytes of a storage from `offset` on, decoded and little-endian.
  ///
  /// Precondition: the range lies inside the storage. Throws `.unreadableInput` when the file cannot be read,
  /// `.hostileInput` when a chunk does not decode to its stated size. Memory: one chunk, at most
  /// `Limits.hdf5ChunkBytes`, beside the cache.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    guard !buffer.isEmpty else { return }
    try data[storage.index].read(input, at: offset, into: buffer)
  }
}
