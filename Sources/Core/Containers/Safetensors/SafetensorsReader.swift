/// Reads safetensors: a length, a JSON header, and the tensors back to back.
///
/// The rules are those of the library: ranges follow each other without holes or overlaps and fill the file exactly.
/// Source: `Metadata::validate` and `SafeTensors::read_metadata` in safetensors/src/tensor.rs.
struct SafetensorsReader: TensorSource {
  let kind = ContainerKind.safetensors
  /// One dictionary, in the order of the header.
  let tree: ObjectTree<TensorDescriptor>
  /// One storage for each tensor.
  let storages: [StorageDescriptor]
  /// The `__metadata__` of the file.
  let metadata: [String: String]

  /// Opens a file; reads the header only.
  ///
  /// Throws `.unreadableInput` when the file is cut off or its header no JSON, `.hostileInput` when ranges, shapes and
  /// file contradict each other or a limit is exceeded. Complexity: O(tensors log tensors).
  init(file: InputFile, limits: Limits = .standard) throws(ConversionError) {
    let length = try Self.headerLength(file, limits)
    let start = 8 + length
    try limits.take(2 * length)
    let header = try SafetensorsHeader(try file.bytes(at: 8, count: length), path: file.path, limits: limits)
    try Self.checkRanges(header.entries, dataSize: file.size - start, path: file.path)
    var storages: [StorageDescriptor] = []
    var entries: [ObjectTree<TensorDescriptor>.Entry] = []
    storages.reserveCapacity(header.entries.count)
    entries.reserveCapacity(header.entries.count)
    var pacer = Interruption.Pacer()
    for entry in header.entries {
      try pacer.step()
      let tensor = try Self.tensor(entry, index: storages.count, path: file.path, limits: limits)
      entries.append(.init(.string(entry.name), .tensor(tensor)))
      let extent = FileExtent(file: file, offset: start + entry.range.lowerBound, length: entry.range.count)
      storages.append(StorageDescriptor(byteCount: entry.range.count, extent: extent))
    }
    tree = .dictionary(entries, ordered: false)
    metadata = header.metadata
    self.storages = storages
  }

  /// Fills `buffer` from a storage.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    guard let extent = storages[storage.index].extent else { return }
    try extent.file.read(at: extent.offset + offset, into: buffer)
  }

  private static func headerLength(_ file: InputFile, _ limits: Limits) throws(ConversionError) -> Int {
    guard file.size >= 8 else {
      throw ConversionError(.unreadableInput, "\(file.path) has \(file.size) bytes, too few for a safetensors header")
    }
    let length = try file.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(file.size - 8) else {
      throw ConversionError(
        .unreadableInput,
        "\(file.path) is cut off or no safetensors file: its header claims \(length) bytes, the file has \(file.size)")
    }
    guard length <= UInt64(limits.safetensorsHeader) else {
      throw ConversionError(
        .hostileInput,
        "\(file.path): the safetensors header has \(length) bytes; at most \(limits.safetensorsHeader) are read")
    }
    guard length >= 2 else {
      throw ConversionError(.unreadableInput, "\(file.path): the safetensors header is empty")
    }
    return Int(length)
  }

  /// Ranges must follow each other from 0 to the end of the file, in whatever order the header names them.
  private static func checkRanges(
    _ entries: [SafetensorsHeader.Entry], dataSize: Int, path: String
  ) throws(ConversionError) {
    var end = 0
    for entry in entries.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      guard entry.range.lowerBound == end else {
        let fault = entry.range.lowerBound > end ? "leaves a hole before" : "overlaps another tensor at"
        throw ConversionError(.hostileInput, "\(path): the safetensors header \(fault) '\(entry.name.prefix(200))'")
      }
      end = entry.range.upperBound
    }
    if end > dataSize {
      throw ConversionError(
        .unreadableInput, "\(path) is cut off: its tensors need \(end) bytes, and \(dataSize) follow the header")
    }
    guard end == dataSize else {
      throw ConversionError(.hostileInput, "\(path): \(dataSize - end) bytes follow the last tensor")
    }
  }

  private static func tensor(
    _ entry: SafetensorsHeader.Entry, index: Int, path: String, limits: Limits
  ) throws(ConversionError) -> TensorDescriptor {
    if let problem = TensorShape.problem(entry.shape, limits: limits) {
      throw ConversionError(.hostileInput, "\(path): '\(entry.name.prefix(200))' has \(problem)")
    }
    guard let count = TensorShape.elementCount(entry.shape), count * entry.dtype.size == entry.range.count else {
      throw ConversionError(
        .hostileInput,
        "\(path): '\(entry.name.prefix(200))' of shape \(entry.shape) does not fit its \(entry.range.count) bytes")
    }
    return TensorDescriptor(dtype: entry.dtype, shape: entry.shape, storage: StorageID(index))
  }
}
