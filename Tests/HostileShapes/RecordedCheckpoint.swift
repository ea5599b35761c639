import Core
import Foundation
import OrderedCollections

/// A recorded checkpoint with its config, tensors and all.
struct RecordedCheckpoint: Sendable {
  /// One tensor of the state dict, contiguous.
  struct Tensor: Sendable {
    let key: String
    let dtype: DType
    let shape: [Int]
    let bytes: [UInt8]
  }

  let model: String
  let source: String
  let target: String
  /// Every format that the model converts to from the source.
  let targets: [String]
  let config: ConfigObject
  let tensors: [Tensor]

  private struct Record: Decodable {
    struct Files: Decodable {
      let config: String
      /// A path, or a list of them; null for a conversion of a config alone.
      let checkpoint: Paths?
    }

    enum Paths: Decodable {
      case one(String)
      case several([String])

      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self =
          if let path = try? container.decode(String.self) { .one(path) } else {
            .several(try container.decode([String].self))
          }
      }
    }
    let model: String
    let src_fmt: String
    let tgt_fmt: String
    let source: Files
  }

  /// Every recorded checkpoint of the fixtures, sorted by path.
  static func all() throws -> [RecordedCheckpoint] {
    let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/goldens")
    let found =
      FileManager.default.enumerator(at: fixtures, includingPropertiesForKeys: nil)?
      .compactMap { $0 as? URL } ?? []
    return try found.filter { $0.lastPathComponent == "case.json" }.sorted { $0.path < $1.path }
      .map(RecordedCheckpoint.init).filter { !$0.tensors.isEmpty }
  }

  private init(_ file: URL) throws {
    let record = try JSONDecoder().decode(Record.self, from: Data(contentsOf: file))
    let folder = file.deletingLastPathComponent()
    (model, source, target) = (record.model, record.src_fmt, record.tgt_fmt)
    let formats = Catalogue.models.first { $0.name == record.model }?.formats.map(\.description) ?? []
    targets = formats.filter { $0 != record.src_fmt }
    let configFile = folder.appending(path: record.source.config)
    guard try configFile.resourceValues(forKeys: [.isDirectoryKey]).isDirectory != true else {
      // A folder for each component; the way back holds the same tensors in one file.
      (config, tensors) = ([:], [])
      return
    }
    config = try ConfigDocument.load(path: configFile.path).root
    let path: String
    switch record.source.checkpoint {
    case .one(let file)?: path = file
    case .several(let files)? where !files.isEmpty: path = files[files.count > 1 ? 1 : 0]
    default:
      tensors = []
      return
    }
    let source = try Checkpoint.open(path: folder.appending(path: path).path)
    var tree = source.tree
    if record.src_fmt != "hf", let model = tree["model"] { tree = model }
    guard case .dictionary(let entries, _) = tree else {
      tensors = []
      return
    }
    tensors = try entries.compactMap { entry throws -> Tensor? in
      guard case .string(let key) = entry.key, case .tensor(let tensor) = entry.value else { return nil }
      return Tensor(
        key: key, dtype: tensor.dtype, shape: tensor.shape, bytes: try Self.bytes(of: tensor, in: source))
    }
  }

  /// The elements of a tensor in row-major order.
  private static func bytes(of tensor: TensorDescriptor, in source: any TensorSource) throws -> [UInt8] {
    var storage = [UInt8](repeating: 0, count: source.storages[tensor.storage.index].byteCount)
    try storage.withUnsafeMutableBytes { try source.read(tensor.storage, at: 0, into: $0) }
    let size = tensor.dtype.size
    var bytes: [UInt8] = []
    func visit(_ axis: Int, _ offset: Int) {
      guard axis < tensor.shape.count else {
        bytes += storage[offset * size..<(offset + 1) * size]
        return
      }
      for index in 0..<tensor.shape[axis] { visit(axis + 1, offset + index * tensor.strides[axis]) }
    }
    visit(0, tensor.offset)
    return bytes
  }
}
