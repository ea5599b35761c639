/// Writes a Cerebras checkpoint in HDF5, format 0.5, which releases 2.1 to 2.10 load with `cstorch.load`.
///
/// The file: superblock, the bytes of all storages, then metadata. The offsets of the data are known before anything is
/// written, and all metadata is written when the sink is made. Datasets are contiguous and without filters, which
/// h5py reads without a plugin. Two entries that are the same tensor become one dataset and a link, as in the tool.
///
/// Memory while it is made: the names of the leaves and about 130 bytes for each of them.
public final class HDF5Writer: TensorSink {
  public let file: StagedFile
  public let offsets: [Int]
  public let needsChecksums = false
  private let superblock: [UInt8]

  /// Lays out and writes everything but the bytes of the tensors.
  ///
  /// `cstorchVersion` is the release that the file says wrote it.
  ///
  /// Throws `.outputFailed` when the format cannot hold the tree: element types that `cstorch.save` refuses (int8,
  /// complex, 8-bit floats, wide unsigned), two leaves with one key, tuples as keys, objects above 64 KiB.
  /// Complexity: O(leaves log leaves).
  public init(path: String, layout: SinkLayout, cstorchVersion: String = "2.10.0") throws(ConversionError) {
    let file = try StagedFile(path: path)
    var offsets: [Int] = []
    var end = 128
    for byteCount in layout.storages {
      offsets.append(end)
      // Aligned for vector loads by whoever maps the file.
      end += (byteCount + 63) / 64 * 64
    }
    var leaves = HDF5LeafWriter(
      metadata: HDF5MetadataWriter(file: file, offset: end), path: path, offsets: offsets, storages: layout.storages)
    try leaves.attribute("__version__", number: 0.5)
    try leaves.attribute("__cstorch_version__", text: cstorchVersion)
    try leaves.attribute("__spec__", text: try PytreeEncoder.encode(layout.tree))
    try leaves.write(layout.tree, path: nil)
    try leaves.attribute("__SUCCESS__", flag: true)
    superblock = try leaves.finish()
    self.file = file
    self.offsets = offsets
  }

  /// Writes the superblock: before that, nothing takes the file for HDF5.
  public func finish(checksums: [UInt32]) throws(ConversionError) { try file.write(superblock, at: 0) }
}
