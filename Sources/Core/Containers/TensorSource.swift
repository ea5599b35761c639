/// A checkpoint opened for reading: its object tree, and the bytes of its storages on demand.
///
/// Opening reads headers and directories only, never a tensor. A source is safe to read from several threads at once.
/// Reading allocates nothing that grows with the checkpoint.
package protocol TensorSource: Sendable {
  /// Which container it is.
  var kind: ContainerKind { get }
  /// The object tree. For containers without nesting, one dictionary.
  var tree: ObjectTree<TensorDescriptor> { get }
  /// The storages that the descriptors of `tree` refer to, by `StorageID.index`.
  var storages: [StorageDescriptor] { get }
  /// What the user should know about how the checkpoint was read.
  var notices: [Diagnostic] { get }

  /// Fills `buffer` with the bytes of a storage from `offset` on.
  ///
  /// Precondition: the range lies inside the storage. Throws `ConversionError` with `.unreadableInput` when the file
  /// ends early or cannot be read.
  func read(_ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError)
}

extension TensorSource {
  /// Nothing to tell.
  var notices: [Diagnostic] { [] }
}

/// What a source knows of one storage before reading it.
package struct StorageDescriptor: Sendable {
  /// Bytes.
  package let byteCount: Int
  /// Where the bytes lie verbatim, little-endian, in a file; nil when they are compressed, in memory, or their place is
  /// found out only when they are read.
  let extent: FileExtent?
  /// CRC-32 of all the bytes, when the container states it and has no reason to be distrusted.
  let crc32: UInt32?

  init(byteCount: Int, extent: FileExtent?, crc32: UInt32? = nil) {
    self.byteCount = byteCount
    self.extent = extent
    self.crc32 = crc32
  }
}

/// A byte range of an open file.
struct FileExtent: Sendable {
  /// The open file.
  let file: InputFile
  /// First byte.
  let offset: Int
  /// Number of bytes.
  let length: Int
}

/// The containers that Zooport reads or writes. Found by content, never by file name.
package enum ContainerKind: String, Sendable, Hashable, CaseIterable {
  /// The zip archive of `torch.save`, since torch 1.6.
  case torchZip = "torch"
  /// The pickle stream of `torch.save` before torch 1.6.
  case torchLegacy = "torch-legacy"
  case safetensors
  /// HDF5 as Cerebras releases write it.
  case hdf5
}
