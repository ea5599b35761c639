/// The parsers that no public function reaches alone, for the fuzz targets.
package enum ParserProbe {
  /// Runs a bare pickle, as it stands in `data.pkl`. Any storage of up to 1 MiB that it names exists.
  ///
  /// Throws as `TorchZipReader.init` does. Returns the number of tensors.
  package static func pickle(_ bytes: [UInt8], limits: Limits) throws(ConversionError) -> Int {
    var machine = PickleMachine(
      input: PickleInput(bytes: bytes, name: "data.pkl"), resolver: AnyStorage(), limits: limits)
    _ = try machine.tree()
    return machine.tensorCount
  }

  /// Decodes one chunk of an HDF5 dataset that went through a filter of `filters`.
  ///
  /// Nil when it does not decode to `byteCount` bytes, the caller having checked them against `Limits.hdf5ChunkBytes`.
  package static func chunk(_ bytes: [UInt8], filter: Int, byteCount: Int) -> [UInt8]? {
    filters[filter % filters.count].decode(bytes, byteCount: byteCount)
  }

  private static let filters: [HDF5Filter] = [.lz4, .lzf, .deflate, .shuffle(elementSize: 4)]

  private struct AnyStorage: PickleStorageResolver {
    private var count = 0

    mutating func storage(_ id: PersistentID) throws(ConversionError) -> PickleStorage {
      guard let bytes = id.bytes(id.count), bytes <= 1 << 20 else {
        throw ConversionError(.hostileInput, "storage \(id.key.prefix(40)) is too large")
      }
      count += 1
      return PickleStorage(id: StorageID(count - 1), dtype: id.dtype, byteOffset: 0, byteCount: bytes, key: id.key)
    }

    mutating func inlineStorage(_ bytes: [UInt8]) -> StorageID {
      count += 1
      return StorageID(count - 1)
    }
  }
}
