/// A tensor as a writer sees it: contiguous, little-endian, at the start of its storage.
package struct OutputTensor: Sendable, Hashable {
  /// Element type.
  package let dtype: DType
  /// Length of each axis.
  package let shape: [Int]
  /// Index into the byte counts given to the sink. Two tensors may share one storage where the container can.
  package let storage: Int

  /// A tensor to be written.
  package init(dtype: DType, shape: [Int], storage: Int) {
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
  }
}

/// What a sink is asked to write: the object tree and the size of each storage. All sizes are known before any byte is.
package struct SinkLayout: Sendable {
  package let tree: ObjectTree<OutputTensor>
  /// Bytes of each storage.
  package let storages: [Int]
  /// The release that the file is for, which containers that name their writer name; nil stands for the newest.
  package let release: Release?

  /// A layout. Every `OutputTensor.storage` of the tree must be an index into `storages`.
  package init(tree: ObjectTree<OutputTensor>, storages: [Int], release: Release? = nil) {
    self.tree = tree
    self.storages = storages
    self.release = release
  }
}

/// A checkpoint being written. Made from a complete layout; all offsets are known before the first byte is filled in.
///
/// Life cycle: create (headers that need no data are laid out), fill every region in any order and from any thread,
/// `finish` once. The sink writes into a `StagedFile`; nothing appears under the final name before that is published.
protocol TensorSink: Sendable {
  /// True when two tensors of the layout may name one storage. When false, the initialiser refuses such a layout and
  /// the planner gives each tensor a storage of its own.
  static var sharesStorages: Bool { get }

  /// Lays the file out and writes what needs no tensor data.
  ///
  /// Throws `.outputFailed` or `.diskFull`, and `.usage` when the container cannot hold the tree.
  init(file: StagedFile, layout: SinkLayout) throws(ConversionError)

  /// The file being written.
  var file: StagedFile { get }
  /// Absolute offset in `file` of each storage of the layout.
  var offsets: [Int] { get }
  /// True when `finish` needs the CRC-32 of each storage.
  var needsChecksums: Bool { get }

  /// Writes what remains (checksums, directory). `checksums` has one CRC-32 for each storage, or is empty when
  /// `needsChecksums` is false. Does not publish. Throws `.outputFailed` or `.diskFull`.
  func finish(checksums: [UInt32]) throws(ConversionError)
}
