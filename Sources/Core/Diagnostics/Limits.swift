/// Upper bounds for every size that an input file states. One place, so that a reviewer sees them together.
///
/// A file that states more is refused with `ErrorKind.hostileInput`; nothing is allocated on its word.
package struct Limits: Sendable {
  /// Dimensions of a tensor.
  package var rank = 64
  /// Elements of a tensor: 2^44, far above the largest embedding in use.
  package var elements = 1 << 44
  /// Tensors in one checkpoint.
  package var tensors = 4_000_000
  /// Bytes of all tensors that one conversion writes: an exbibyte, so that sums of sizes never overflow.
  package var outputBytes = 1 << 60
  /// Nesting of containers in a pickle, a JSON or a YAML document.
  var nesting = 256
  /// Bytes of a safetensors header; the format's own limit.
  var safetensorsHeader = 100_000_000
  /// Entries of a zip central directory.
  var zipEntries = 4_000_000
  /// Bytes of a zip central directory.
  var zipDirectory = 1 << 30
  /// Bytes of a `data.pkl`, or of the pickles of a legacy stream.
  var pickleBytes = 1 << 30
  /// Opcodes executed by the pickle machine.
  package var pickleOperations = 200_000_000
  /// Entries of the pickle memo.
  package var pickleMemo = 50_000_000
  /// Bytes of one string or bytes object in a pickle.
  var pickleString = 64 << 20
  /// Bytes of one integer in a pickle; converting to decimal takes time that grows with the square.
  var pickleInteger = 1 << 10
  /// Values that the tree of a checkpoint may hold once shared parts are counted each time.
  package var treeNodes = 20_000_000
  /// Bytes of a config document.
  package var configBytes = 16 << 20
  /// Values of a config document, aliases counted each time they are visited.
  package var configNodes = 1_000_000
  /// Characters of one number in a config document; Python's own limit for decimal integers.
  package var numberDigits = 4_300
  /// Bytes of HDF5 metadata (headers, group nodes, heaps) read to open one file, parts read twice counted twice.
  package var hdf5MetadataBytes = 4 << 30
  /// Bytes of one HDF5 chunk after decoding.
  package var hdf5ChunkBytes = 256 << 20
  /// Bytes of one tensor that a file claims without holding them: unwritten datasets and constant tensors.
  package var hdf5UnstoredBytes = 1 << 36
  /// Bytes of a shard index.
  package var indexBytes = 256 << 20
  /// Bytes of a file that is carried to the outputs as it is, such as a tokenizer.
  package var companionBytes = 256 << 20
  /// What is told of memory that parsed values take; nil counts nothing.
  package var memory: MemoryAccount?
  /// Shards of one output; all of them are open files until they are published.
  var outputShards = 400

  /// The limits in force unless a caller narrows them.
  package static let standard = Limits()

  /// The standard limits, to be narrowed field by field.
  package init() {}
}
