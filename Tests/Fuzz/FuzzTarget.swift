import Core
import Foundation
import HostileShapes

/// A parser that reads what a stranger wrote.
///
/// A run is good when it returns, whether the parser accepted or refused; it is bad when it traps, hangs, or takes memory
/// that the input does not pay for.
enum FuzzTarget: String, CaseIterable {
  /// The pickle machine, without the checksum of an archive around it.
  case pickle
  /// A torch archive: end records, directory, local headers, then whatever its pickle says.
  case zip
  /// The stream that torch.save wrote before 1.6.
  case legacy
  /// A safetensors header, with the length before it and some data after it.
  case safetensors
  /// HDF5 of all layouts: structure, chunks, and the reading of every tensor.
  case hdf5
  /// LZ4, LZF, deflate and shuffle: one chunk as it stands in an HDF5 file.
  case chunk
  /// A config in JSON.
  case json
  /// A config in YAML, with its resolver.
  case yaml
  /// A shard index.
  case index
  /// Whole conversions of recorded checkpoints; the bytes choose checkpoint, container, shapes and config.
  case shapes

  /// Narrow, so that what should be refused is refused before the fuzzer's own limits on time and memory are met.
  private static let limits: Limits = {
    var limits = Limits.standard
    limits.treeNodes = 200_000
    limits.pickleOperations = 1_000_000
    limits.pickleMemo = 200_000
    limits.configNodes = 100_000
    limits.hdf5MetadataBytes = 64 << 20
    limits.hdf5ChunkBytes = 8 << 20
    limits.hdf5UnstoredBytes = 8 << 20
    return limits
  }()

  /// Parses `bytes` and reads what they describe.
  func run(_ bytes: [UInt8]) {
    do {
      switch self {
      case .pickle: _ = try ParserProbe.pickle(bytes, limits: Self.limits)
      case .zip, .legacy, .hdf5: try open(bytes)
      case .safetensors:
        let length = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
        try open(length + bytes + [UInt8](repeating: 7, count: 64))
      case .chunk: chunk(bytes)
      case .json:
        let text = JSONWriter.render(try JSONReader.parse(bytes, name: "config.json", limits: Self.limits))
        let again = try? JSONReader.parse(Array(text.utf8), name: "written.json")
        precondition(again.map(JSONWriter.render) == text, "the written config reads as another one")
      case .yaml:
        let text = YAMLWriter.render(try YAMLReader.parse(bytes, name: "config.yaml", limits: Self.limits))
        let again = try? YAMLReader.parse(Array(text.utf8), name: "written.yaml")
        precondition(again.map(YAMLWriter.render) == text, "the written config reads as another one")
      case .shapes: try shapes(bytes)
      case .index: _ = try ShardIndex.parse(bytes, name: "model.safetensors.index.json", limits: Self.limits)
      }
    } catch {
      // Refused, as it should be.
    }
  }

  private static let recorded = Result { try HostileShapes() }
  private static let folder: String = {
    let folder = FileManager.default.temporaryDirectory.appending(path: "zooport-shapes-\(getpid())").path
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: FuzzTarget.folder) }
    return folder
  }()

  private func shapes(_ bytes: [UInt8]) throws {
    var random = Entropy(bytes)
    let outcome = try Self.recorded.get().run(&random, in: Self.folder)
    precondition(outcome != .refused(.internal), "a conversion blames Zooport itself")
  }

  /// Converts `count` recorded checkpoints with random shapes, the same ones each time. Returns how many were converted.
  static func seededShapes(_ count: Int) throws -> Int {
    var random = Entropy(seed: 2)
    var converted = 0
    for _ in 0..<count {
      let outcome = try recorded.get().run(&random, in: folder)
      precondition(outcome != .refused(.internal), "a conversion blames Zooport itself")
      if outcome == .converted { converted += 1 }
    }
    return converted
  }

  /// The first byte chooses the filter, the next two the size that the chunk should have.
  private func chunk(_ bytes: [UInt8]) {
    guard bytes.count >= 3 else { return }
    let size = Int(bytes[1]) << 8 | Int(bytes[2])
    let decoded = ParserProbe.chunk(Array(bytes[3...]), filter: Int(bytes[0]), byteCount: size)
    precondition(decoded.map { $0.count == size } ?? true, "a chunk decoded to another size than was asked for")
  }

  /// Opens the bytes as a file without a name, and as one that is elsewhere, whose parts are found when they are read.
  private func open(_ bytes: [UInt8]) throws(ConversionError) {
    let path = MemoryFile.shared.replace(bytes)
    var files = InputFiles()
    files.bring(InputFile(path: "elsewhere", bytes: MemoryBytes(bytes)), as: "elsewhere")
    // What one of them refuses the other has to survive as well.
    let remote = Result { () throws(ConversionError) in try readAll("elsewhere", files) }
    try readAll(path, .onDisk)
    try remote.get()
  }

  /// Reads every tensor of a checkpoint that is small.
  private func readAll(_ path: String, _ files: InputFiles) throws(ConversionError) {
    let source = try Checkpoint.open(path: path, limits: Self.limits, files: files)
    var tensors: [TensorDescriptor] = []
    source.tree.forEachLeaf { _, leaf in if case .tensor(let tensor) = leaf { tensors.append(tensor) } }
    for tensor in tensors.prefix(64) {
      let storage = source.storages[tensor.storage.index]
      let count = min(storage.byteCount, 64 << 10)
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
      defer { buffer.deallocate() }
      try source.read(tensor.storage, at: 0, into: buffer)
      try source.read(tensor.storage, at: storage.byteCount - count, into: buffer)
    }
  }
}
