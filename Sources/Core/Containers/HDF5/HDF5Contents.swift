/// What both layouts of a checkpoint need while a file is opened: its root attributes, its datasets by name, and the
/// storages found so far.
///
/// Used by one thread.
final class HDF5Contents {
  typealias Tree = ObjectTree<TensorDescriptor>

  /// The metadata reader.
  let reader: HDF5MetadataReader
  /// Attributes of the root group by name.
  let attributes: [String: HDF5Attribute]
  /// Where the bytes of each storage come from.
  private(set) var storages: [HDF5Storage] = []
  /// Bytes of each storage.
  private(set) var byteCounts: [Int] = []

  private let rootHeader: HDF5ObjectHeader
  private var groups: [Int: HDF5Group] = [:]
  private var storageOfDataset: [Int: Int] = [:]
  private let chunks: HDF5Cache<HDF5ChunkedData.ChunkKey, [UInt8]>
  private let nodes: HDF5Cache<Int, HDF5ChunkIndex.Node>
  /// Lock for decoding large chunks: the file decodes one at a time.
  private let turn = HDF5ChunkedData.Turn()
  /// Bytes of the largest chunk so far.
  private var largestChunk = 0

  /// Reads the root group's header. `chunkCacheBytes` bounds the decoded chunks that reads keep later.
  init(file: HDF5File, chunkCacheBytes: Int) throws(ConversionError) {
    reader = HDF5MetadataReader(file: file)
    rootHeader = try HDF5ObjectHeader(at: file.rootAddress, reader: reader)
    var attributes: [String: HDF5Attribute] = [:]
    for attribute in try rootHeader.attributes(file: file) { attributes[attribute.name] = attribute }
    self.attributes = attributes
    groups[file.rootAddress] = try HDF5Group(header: rootHeader, reader: reader)
    chunks = HDF5Cache(limit: chunkCacheBytes)
    nodes = HDF5Cache(limit: 4 << 20)
  }

  var file: HDF5File { reader.file }

  /// The path of the file, for messages.
  var path: String { file.input.path }

  /// The value of a root attribute, or nil when there is none of this name.
  func attribute(_ name: String) throws(ConversionError) -> HDF5Value? {
    try attributes[name]?.value(reader)
  }

  /// The address of the object at a path. A slash leads into a group; empty parts and dots are passed over, as in HDF5.
  private func address(of path: String) throws(ConversionError) -> Int? {
    var address = file.rootAddress
    for part in path.split(separator: "/") where part != "." {
      let group: HDF5Group
      if let known = groups[address] {
        group = known
      } else {
        group = try HDF5Group(header: try HDF5ObjectHeader(at: address, reader: reader), reader: reader)
        groups[address] = group
      }
      guard let next = group.members[String(part)] else { return nil }
      address = next
    }
    return address
  }

  /// The dataset at a path with its address, or nil when there is none.
  func dataset(_ path: String) throws(ConversionError) -> (address: Int, dataset: HDF5Dataset)? {
    guard let address = try address(of: path) else { return nil }
    try file.limits.take(1024)
    guard groups[address] == nil else { throw file.damaged("\(path) is a group where a dataset is needed") }
    return (address, try HDF5Dataset(at: address, name: path, reader: reader))
  }

  /// The tensor that a dataset holds. `declared` is the element type that the checkpoint states for it: HDF5 has no
  /// bfloat16, which is kept as int16.
  ///
  /// Throws `.hostileInput` when the dataset claims more bytes than the file can hold, `.unreadableInput` when its
  /// element type is no tensor's or contradicts `declared`.
  func tensor(
    _ dataset: HDF5Dataset, at address: Int, name: String, declared: DType?
  ) throws(ConversionError) -> TensorDescriptor {
    guard case .number(let stored, let bigEndian) = dataset.type, case .simple(let shape) = dataset.space,
      let layout = dataset.layout
    else {
      throw ConversionError(.unreadableInput, "\(path): \(name) holds \(dataset.type) data, which is no tensor")
    }
    let dtype = declared ?? stored
    let isConsistent =
      dtype == stored || (dtype == .bfloat16 && stored == .int16) || (dtype == .bool && stored == .uint8)
    guard isConsistent else {
      throw ConversionError(
        .unreadableInput, "\(path): \(name) should hold \(dtype.rawValue) but is stored as \(stored.rawValue)")
    }
    // A dataspace has at most 2^44 elements of at most 8 bytes.
    let byteCount = (TensorShape.elementCount(shape) ?? 0) * stored.size
    let index: Int
    if let known = storageOfDataset[address] {
      index = known
    } else {
      let storage = try self.storage(
        layout, of: dataset, shape: shape, byteCount: byteCount, elementSize: stored.size, bigEndian: bigEndian,
        name: name)
      index = add(storage, byteCount: byteCount)
      storageOfDataset[address] = index
    }
    return TensorDescriptor(dtype: dtype, shape: shape, storage: StorageID(index))
  }

  /// A tensor whose elements are all equal, as `torch.full` makes it; nil stands for zero.
  func constant(
    shape: [Int], dtype: DType, value: Double?, name: String
  ) throws(ConversionError) -> TensorDescriptor {
    if let problem = TensorShape.problem(shape, limits: file.limits) {
      throw file.damaged("the constant tensor \(name) has \(problem)")
    }
    let byteCount = (TensorShape.elementCount(shape) ?? 0) * dtype.size
    guard byteCount <= file.limits.hdf5UnstoredBytes else { throw tooLarge(name, byteCount) }
    guard let element = dtype.element(value ?? 0) else {
      throw ConversionError(.unreadableInput, "\(path): the constant tensor \(name) is of type \(dtype.rawValue)")
    }
    let index = add(.constant(element.allSatisfy { $0 == 0 } ? [] : element), byteCount: byteCount)
    return TensorDescriptor(dtype: dtype, shape: shape, storage: StorageID(index))
  }

  /// The single number of a dataset of rank 0 or of one element.
  func number(_ dataset: HDF5Dataset, name: String) throws(ConversionError) -> HDF5Number {
    guard case .number(let dtype, let bigEndian) = dataset.type, dataset.space.elementCount == 1 else {
      throw ConversionError(.unreadableInput, "\(path): \(name) should hold one number")
    }
    switch dataset.layout {
    case .compact(let bytes): return HDF5Number(bytes[...], dtype: dtype, bigEndian: bigEndian)
    case .contiguous(let offset?):
      var block = try reader.block(at: offset, count: dtype.size, what: "number")
      return HDF5Number(try block.bytes(dtype.size), dtype: dtype, bigEndian: bigEndian)
    default: throw ConversionError(.unreadableInput, "\(path): the number \(name) was never written")
    }
  }

  private func add(_ storage: HDF5Storage, byteCount: Int) -> Int {
    storages.append(storage)
    byteCounts.append(byteCount)
    return storages.count - 1
  }

  private func tooLarge(_ name: String, _ byteCount: Int) -> ConversionError {
    ConversionError(
      .hostileInput,
      "\(path): \(name) claims \(byteCount) bytes that the file does not hold; at most "
        + "\(file.limits.hdf5UnstoredBytes) are accepted")
  }

  private func storage(
    _ layout: HDF5Dataset.Layout, of dataset: HDF5Dataset, shape: [Int], byteCount: Int, elementSize: Int,
    bigEndian: Bool, name: String
  ) throws(ConversionError) -> HDF5Storage {
    guard byteCount > 0 else { return .inline([]) }
    // A fill value of another size belongs to no element; HDF5 calls it undefined.
    let fill = dataset.fill.count == elementSize && dataset.fill.contains { $0 != 0 } ? dataset.fill : []
    switch layout {
    case .compact(var bytes):
      if bigEndian { HDF5Storage.swapBytes(&bytes, elementSize: elementSize) }
      return .inline(bytes)
    case .contiguous(let offset?):
      return bigEndian && elementSize > 1
        ? .bigEndian(offset: offset, elementSize: elementSize) : .verbatim(offset: offset)
    case .contiguous(nil):
      guard byteCount <= file.limits.hdf5UnstoredBytes else { throw tooLarge(name, byteCount) }
      return .constant(bigEndian ? fill.reversed() : fill)
    case .chunked(let root, let chunk):
      // Deflate, the strongest filter, shrinks by 1032 at most; what lies beyond that cannot have been written.
      let (possible, overflow) = file.input.size.multipliedReportingOverflow(by: 1032)
      let stored = root == nil || overflow ? 0 : possible
      guard byteCount - min(stored, byteCount) <= file.limits.hdf5UnstoredBytes else {
        throw tooLarge(name, byteCount)
      }
      let chunkBytes = chunk.reduce(elementSize, *)
      if chunkBytes > largestChunk {
        // What was stored and what comes out of it, or both sides of a shuffle.
        try file.limits.take((chunkBytes - largestChunk) / 4 * 9 + 65_536)
        largestChunk = chunkBytes
      }
      return .chunked(
        HDF5ChunkedData(
          file: file, turn: turn,
          description: .init(
            name: name, storage: storages.count, shape: shape, chunk: chunk, elementSize: elementSize,
            bigEndian: bigEndian, filters: dataset.filters, fill: fill),
          index: root.map {
            HDF5ChunkIndex(file: file, root: $0, rank: shape.count, name: name, nodes: nodes)
          },
          cache: chunks))
    }
  }
}

extension DType {
  /// The little-endian bytes of one element, rounded and wrapped as torch does; nil for types that no constant has.
  func element(_ value: Double) -> [UInt8]? {
    func bytes<T: FixedWidthInteger>(_ bits: T) -> [UInt8] { withUnsafeBytes(of: bits.littleEndian) { Array($0) } }
    let integer = Int(exactly: value.rounded(.towardZero)) ?? 0
    switch self {
    case .float64: return bytes(value.bitPattern)
    case .float32: return bytes(Float(value).bitPattern)
    case .float16: return bytes(Float16(Float(value)).bitPattern)
    case .bfloat16:
      let bits = Float(value).bitPattern
      if value.isNaN { return bytes(UInt16(0x7FC0)) }
      // Round to nearest, ties to even, on the upper half.
      return bytes(UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16))
    case .int64, .uint64: return bytes(Int64(integer))
    case .int32, .uint32: return bytes(Int32(truncatingIfNeeded: integer))
    case .int16, .uint16: return bytes(Int16(truncatingIfNeeded: integer))
    case .int8, .uint8: return bytes(Int8(truncatingIfNeeded: integer))
    case .bool: return [value == 0 ? 0 : 1]
    default: return nil
    }
  }
}
