/// Writes a Cerebras checkpoint in HDF5, format 0.5, which releases 2.1 to 2.10 load with `cstorch.load`.
///
/// The file: superblock, the bytes of all storages, then metadata. The offsets of the data are known before anything is
/// written, and all metadata is written when the sink is made. Datasets are contiguous and without filters, which
/// h5py reads without a plugin. Two entries that are the same tensor become one dataset and a link, as in the tool.
///
/// Memory while it is made: the names of the leaves and a few hundred bytes for each of them.
package final class HDF5Writer: TensorSink {
  /// True: a tensor under several keys is one dataset and links to it.
  static let sharesStorages = true
  /// The file being written.
  package let file: StagedFile
  /// Absolute offset of each storage, a multiple of 64.
  package let offsets: [Int]
  /// False: the container holds no checksum.
  let needsChecksums = false
  private let superblock: [UInt8]

  /// Lays out and writes everything but the bytes of the tensors.
  ///
  /// The file says that the layout's release wrote it. Releases before 2.0 wrote no such file; for them, and when the
  /// layout names none, it says 2.10.0, the newest that is known.
  ///
  /// Throws `.outputFailed` or `.diskFull`, and `.usage` when the format cannot hold the tree: element types that
  /// `cstorch.save` refuses (int8, complex, 8-bit floats, wide unsigned), two leaves with one key, tuples as keys,
  /// objects above 64 KiB. Complexity: O(leaves log leaves).
  package init(file: StagedFile, layout: SinkLayout) throws(ConversionError) {
    var offsets: [Int] = []
    var end = 128
    for byteCount in layout.storages {
      offsets.append(end)
      // Aligned for vector loads by whoever maps the file.
      let (next, overflow) = end.addingReportingOverflow(byteCount)
      guard !overflow, next < 1 << 62 else {
        throw ConversionError(.outputFailed, "\(file.name): the checkpoint is larger than a file can be")
      }
      end = (next + 63) / 64 * 64
    }
    var leaves = HDF5LeafWriter(
      metadata: HDF5MetadataWriter(file: file, offset: end), path: file.name, offsets: offsets,
      storages: layout.storages)
    try leaves.attribute("__version__", number: 0.5)
    try leaves.attribute("__cstorch_version__", text: Self.version(layout.release))
    try leaves.attribute("__spec__", text: try PytreeEncoder.encode(layout.tree))
    try leaves.write(layout.tree, path: nil)
    try leaves.attribute("__SUCCESS__", flag: true)
    superblock = try leaves.finish()
    self.file = file
    self.offsets = offsets
  }

  /// A release as cstorch names itself, such as 2.9.0.
  private static func version(_ release: Release?) -> String {
    guard let release, release >= Release(2, 0) else { return "2.10.0" }
    return "\(release.major).\(release.minor).0"
  }

  /// Writes the superblock: before that, nothing takes the file for HDF5.
  package func finish(checksums: [UInt32]) throws(ConversionError) { try file.write(superblock, at: 0) }
}
