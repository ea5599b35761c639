/// Reads the pickle stream that `torch.save` wrote before torch 1.6 and still writes on request.
///
/// Five pickles (magic number, protocol, system information, object, storage keys), then for each key an 8-byte element
/// count and the elements. Source: `_legacy_save` and `_legacy_load` in torch/serialization.py.
struct TorchLegacyReader: TensorSource {
  let kind = ContainerKind.torchLegacy
  /// What the fourth pickle describes.
  let tree: ObjectTree<TensorDescriptor>
  /// The storages in the order in which the pickle names them.
  let storages: [StorageDescriptor]
  /// Objects beside the tensors that were read as plain values.
  let notices: [Diagnostic]
  private let inline: [Int: [UInt8]]

  /// Opens a stream; reads the pickles and the count of each storage.
  ///
  /// Throws `.unreadableInput` when the file is another pickle, is cut off, or was written on a big-endian machine;
  /// `.hostileInput` as `TorchZipReader` does.
  init(file: InputFile, limits: Limits = .standard) throws(ConversionError) {
    var machine = PickleMachine(
      input: PickleInput(file: file, range: 0..<min(file.size, limits.pickleBytes)),
      resolver: TorchLegacyStorages(path: file.path), limits: limits)
    // torch.serialization.MAGIC_NUMBER
    guard try machine.tree() == .longInt("119547037146038801333356") else {
      throw ConversionError(.unreadableInput, "\(file.path) is a bare pickle, not a checkpoint that torch.save wrote")
    }
    guard try machine.tree() == .int(1_001) else {
      throw ConversionError(.unreadableInput, "\(file.path) has an unknown version of torch's legacy format")
    }
    guard try machine.tree()["little_endian"] == .bool(true) else {
      throw ConversionError(.unreadableInput, "\(file.path) is big-endian; save it on a little-endian machine")
    }
    tree = try machine.tree()
    notices = Diagnostic.plainObjects(machine.objects, in: file.path).map { [$0] } ?? []
    guard case .list(let keys) = try machine.tree() else {
      throw ConversionError(.hostileInput, "\(file.path): the list of storages is missing")
    }
    try machine.resolver.locate(keys, in: file, from: machine.input.position)
    storages = machine.resolver.descriptors(file)
    inline = machine.resolver.inline
  }

  /// Fills `buffer` from a storage.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    if let extent = storages[storage.index].extent {
      try extent.file.read(at: extent.offset + offset, into: buffer)
    } else if let bytes = inline[storage.index] {
      buffer.copyBytes(from: bytes[offset..<offset + buffer.count])
    }
  }
}

/// The storages of a legacy stream: sized by the pickle, found once it has been read.
private struct TorchLegacyStorages: PickleStorageResolver {
  private struct Storage {
    let key: String
    let itemSize: Int
    let byteCount: Int
    var offset: Int?
  }

  let path: String
  private(set) var inline: [Int: [UInt8]] = [:]
  private var storages: [Storage] = []
  private var indices: [String: Int] = [:]

  init(path: String) { self.path = path }

  mutating func storage(_ id: PersistentID) throws(ConversionError) -> PickleStorage {
    guard let bytes = id.bytes(id.count) else { throw hostile("storage \(id.key.prefix(40)) has an impossible size") }
    let itemSize = id.dtype?.size ?? 1
    let index = indices[id.key] ?? storages.count
    if index == storages.count {
      indices[id.key] = index
      storages.append(Storage(key: id.key, itemSize: itemSize, byteCount: bytes))
    }
    guard storages[index].byteCount == bytes, storages[index].itemSize == itemSize else {
      throw hostile("storage \(id.key.prefix(40)) has two sizes")
    }
    guard let view = id.view else {
      return PickleStorage(id: StorageID(index), dtype: id.dtype, byteOffset: 0, byteCount: bytes, key: id.key)
    }
    guard let offset = id.bytes(view.offset), let part = id.bytes(view.count), offset <= bytes, part <= bytes - offset
    else { throw hostile("a view reaches beyond storage \(id.key.prefix(40))") }
    return PickleStorage(
      id: StorageID(index), dtype: id.dtype, byteOffset: offset, byteCount: offset + part, key: id.key)
  }

  func inlineBytes(_ storage: StorageID) -> [UInt8]? { inline[storage.index] }

  mutating func inlineStorage(_ bytes: [UInt8]) -> StorageID {
    inline[storages.count] = bytes
    storages.append(Storage(key: "", itemSize: 1, byteCount: bytes.count))
    return StorageID(storages.count - 1)
  }

  /// Walks over the storages that follow the pickles, in the order of the list of keys.
  mutating func locate(
    _ keys: [ObjectTree<TensorDescriptor>], in file: InputFile, from start: Int
  ) throws(ConversionError) {
    var position = start
    var pacer = Interruption.Pacer()
    for key in keys {
      try pacer.step()
      guard case .string(let name) = key, let index = indices[name], storages[index].offset == nil else {
        throw hostile("the list of storages names one that no tensor uses, or one twice")
      }
      let storage = storages[index]
      let stated = try file.bytes(at: position, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      position += 8
      guard stated == UInt64(storage.byteCount / storage.itemSize) else {
        throw hostile("storage \(name.prefix(40)) has \(stated) elements, but the pickle says otherwise")
      }
      guard storage.byteCount <= file.size - position else {
        throw ConversionError(.unreadableInput, "\(path) is cut off in storage \(name.prefix(40))")
      }
      storages[index].offset = position
      position += storage.byteCount
    }
    if let missing = storages.indices.first(where: { storages[$0].offset == nil && inline[$0] == nil }) {
      throw hostile("storage \(storages[missing].key.prefix(40)) is missing")
    }
  }

  func descriptors(_ file: InputFile) -> [StorageDescriptor] {
    storages.map { storage in
      StorageDescriptor(
        byteCount: storage.byteCount,
        extent: storage.offset.map { FileExtent(file: file, offset: $0, length: storage.byteCount) })
    }
  }

  private func hostile(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(path): \(message)")
  }
}
