import Synchronization

/// Reads the zip archive of `torch.save`.
///
/// Opening reads the directory, the local headers and `data.pkl`; storages are found in the directory and never
/// touched. Peak memory: the directory, and the values of the pickle.
struct TorchZipReader: TensorSource {
  let kind = ContainerKind.torchZip
  /// What `data.pkl` describes.
  let tree: ObjectTree<TensorDescriptor>
  /// The `data/N` entries that the pickle names, and numpy arrays that lie inside it.
  let storages: [StorageDescriptor]
  /// Objects beside the tensors that were read as plain values.
  let notices: [Diagnostic]
  private let inline: [Int: [UInt8]]
  /// Where storages of an archive that is elsewhere lie, found out when they are read.
  private let remote: RemoteEntries

  /// Opens an archive.
  ///
  /// Throws `.unreadableInput` when the file is no checkpoint, is cut off or big-endian; `.hostileInput` when it
  /// contradicts itself, exceeds a limit, or mentions a Python name that is not allowed.
  init(file: InputFile, limits: Limits = .standard) throws(ConversionError) {
    let directory = try ZipDirectory(file: file, limits: limits)
    let root = try Self.root(of: directory)
    let (input, checksums) = try Self.pickle(directory, root: root, limits: limits)
    try Self.checkByteOrder(directory, root: root)
    try Self.checkVersion(directory, root: root)
    var machine = PickleMachine(
      input: input, resolver: TorchZipStorages(directory: directory, root: root, checksums: checksums), limits: limits)
    tree = try machine.tree()
    notices = Diagnostic.plainObjects(machine.objects, in: file.path).map { [$0] } ?? []
    storages = machine.resolver.storages
    inline = machine.resolver.inline
    remote = RemoteEntries(directory: directory, entries: machine.resolver.remote)
  }

  /// Fills `buffer` from a storage.
  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    if let extent = storages[storage.index].extent {
      try extent.file.read(at: extent.offset + offset, into: buffer)
    } else if let bytes = inline[storage.index] {
      buffer.copyBytes(from: bytes[offset..<offset + buffer.count])
    } else if let extent = try remote.extent(of: storage.index) {
      try extent.file.read(at: extent.offset + offset, into: buffer)
    }
  }

  /// The folder that everything lies in; torch takes any name.
  private static func root(of directory: ZipDirectory) throws(ConversionError) -> String {
    let path = directory.file.path
    let roots = directory.entries.compactMap { entry -> String? in
      guard entry.name.hasSuffix("/data.pkl") else { return nil }
      let root = entry.name.dropLast("/data.pkl".count)
      return root.isEmpty || root.contains("/") ? nil : String(root)
    }
    guard let root = roots.first else {
      let exported = ["serialized_exported_program.json", "archive_format", "models/model.json"]
      if directory.entries.contains(where: { entry in exported.contains { entry.name.hasSuffix($0) } }) {
        throw ConversionError(
          .unreadableInput, "\(path) is a program of torch.export; save the state dict with torch.save instead")
      }
      throw ConversionError(
        .unreadableInput, "\(path) is a zip archive without data.pkl, not a checkpoint that torch.save wrote")
    }
    guard roots.count == 1 else {
      throw ConversionError(
        .hostileInput, "\(path) holds several checkpoints: \(roots.prefix(3).joined(separator: ", "))")
    }
    guard directory["\(root)/constants.pkl"] == nil else {
      throw ConversionError(
        .unreadableInput, "\(path) is a TorchScript archive; save the state dict with torch.save instead")
    }
    return root
  }

  /// A pickle of at most so many bytes that is elsewhere is read once and kept, to be checked and then run. Its values
  /// take more.
  private static let keptPickle = 16 << 20

  /// `data.pkl`, its CRC-32 checked, and false when the archive was written with checksums switched off.
  private static func pickle(
    _ directory: ZipDirectory, root: String, limits: Limits
  ) throws(ConversionError) -> (input: PickleInput, checksums: Bool) {
    let file = directory.file
    guard let entry = directory["\(root)/data.pkl"] else {
      throw ConversionError(.unreadableInput, "\(file.path) has no data.pkl")
    }
    guard entry.size <= limits.pickleBytes else {
      throw ConversionError(
        .hostileInput,
        "\(file.path): data.pkl has \(entry.size) bytes; at most \(limits.pickleBytes) are read")
    }
    let extent = try directory.content(entry)
    guard file.isRemote, extent.length <= keptPickle else {
      let range = extent.offset..<extent.offset + extent.length
      return (PickleInput(file: file, range: range), try isTrue(extent.checksum(), directory, entry))
    }
    let bytes = try file.bytes(at: extent.offset, count: extent.length)
    return (PickleInput(bytes: bytes, name: file.path), try isTrue(Checksum.crc32(bytes), directory, entry))
  }

  /// `set_crc32_options(False)` of torch 2.5 and later writes 0 everywhere.
  private static func isTrue(
    _ checksum: UInt32, _ directory: ZipDirectory, _ entry: ZipDirectory.Entry
  ) throws(ConversionError) -> Bool {
    if checksum != entry.crc32 {
      guard entry.crc32 == 0 else {
        throw ConversionError(
          .unreadableInput,
          "\(directory.file.path): \(entry.name) does not match its checksum; fetch the file again")
      }
      return false
    }
    return true
  }

  private static func checkByteOrder(_ directory: ZipDirectory, root: String) throws(ConversionError) {
    // Archives from before torch 2.1 have no such entry and are little-endian.
    guard let entry = directory["\(root)/byteorder"] else { return }
    let order = try shortText(directory, entry)
    guard order == "little" else {
      throw ConversionError(
        .unreadableInput,
        "\(directory.file.path) has the byte order '\(order)'; save it on a little-endian machine")
    }
  }

  private static func checkVersion(_ directory: ZipDirectory, root: String) throws(ConversionError) {
    guard let entry = directory["\(root)/version"] else { return }
    let text = try shortText(directory, entry)
    // `kMaxSupportedFileFormatVersion` in caffe2/serialize/versions.h is 10.
    guard let version = Int(text), (1...10).contains(version) else {
      throw ConversionError(
        .unreadableInput, "\(directory.file.path) has the format version '\(text)'; 1 to 10 are known")
    }
  }

  private static func shortText(
    _ directory: ZipDirectory, _ entry: ZipDirectory.Entry
  ) throws(ConversionError) -> String {
    let extent = try directory.content(entry)
    guard extent.length <= 32 else {
      throw ConversionError(.hostileInput, "\(directory.file.path): \(entry.name) has \(extent.length) bytes")
    }
    var bytes = try extent.file.bytes(at: extent.offset, count: extent.length)
    _ = try isTrue(Checksum.crc32(bytes), directory, entry)
    while bytes.last == 0x0A { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// The entries of an archive that is elsewhere, located one by one as they are read.
private final class RemoteEntries: Sendable {
  private let directory: ZipDirectory
  private let entries: [Int: ZipDirectory.Entry]
  private let located = Mutex<[Int: FileExtent]>([:])

  init(directory: ZipDirectory, entries: [Int: ZipDirectory.Entry]) {
    self.directory = directory
    self.entries = entries
  }

  /// Where the content of a storage lies; reads its local header the first time. Throws as `ZipDirectory.content` does.
  func extent(of storage: Int) throws(ConversionError) -> FileExtent? {
    if let extent = located.withLock({ $0[storage] }) { return extent }
    guard let entry = entries[storage] else { return nil }
    let extent = try directory.content(entry)
    located.withLock { $0[storage] = extent }
    return extent
  }
}

/// The `data/N` entries of an archive, numbered in the order in which the pickle names them.
private struct TorchZipStorages: PickleStorageResolver {
  let directory: ZipDirectory
  let root: String
  /// False when the CRC-32 fields of the archive mean nothing.
  let checksums: Bool
  var storages: [StorageDescriptor] = []
  var inline: [Int: [UInt8]] = [:]
  /// The entry of each storage when the archive is elsewhere.
  var remote: [Int: ZipDirectory.Entry] = [:]
  private var indices: [String: Int] = [:]

  init(directory: ZipDirectory, root: String, checksums: Bool) {
    self.directory = directory
    self.root = root
    self.checksums = checksums
  }

  mutating func storage(_ id: PersistentID) throws(ConversionError) -> PickleStorage {
    let path = directory.file.path
    guard id.view == nil, !id.key.isEmpty, id.key.utf8.count <= 64,
      id.key.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x5F })
    else {
      throw ConversionError(.hostileInput, "\(path): '\(id.key.prefix(200))' is no storage key")
    }
    guard let entry = directory["\(root)/data/\(id.key)"] else {
      throw ConversionError(.hostileInput, "\(path): a tensor needs storage \(id.key), which the archive does not hold")
    }
    guard let bytes = id.bytes(id.count), bytes <= entry.size else {
      throw ConversionError(
        .hostileInput, "\(path): storage \(id.key) claims \(id.count) elements, but holds \(entry.size) bytes")
    }
    let index: Int
    if let known = indices[id.key] {
      index = known
    } else {
      index = storages.count
      indices[id.key] = index
      let extent = directory.file.isRemote ? nil : try directory.content(entry)
      if extent == nil { remote[index] = entry }
      let distrusted = !checksums || entry.crc32 == 0 && entry.size > 0
      storages.append(
        StorageDescriptor(byteCount: entry.size, extent: extent, crc32: distrusted ? nil : entry.crc32))
    }
    return PickleStorage(id: StorageID(index), dtype: id.dtype, byteOffset: 0, byteCount: bytes, key: id.key)
  }

  func inlineBytes(_ storage: StorageID) -> [UInt8]? { inline[storage.index] }

  mutating func inlineStorage(_ bytes: [UInt8]) -> StorageID {
    inline[storages.count] = bytes
    storages.append(StorageDescriptor(byteCount: bytes.count, extent: nil, crc32: Checksum.crc32(bytes)))
    return StorageID(storages.count - 1)
  }
}
