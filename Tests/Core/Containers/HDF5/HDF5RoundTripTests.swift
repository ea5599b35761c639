import Foundation
import Testing

@testable import Core

/// Checkpoints written by `HDF5Writer` and read again.
struct HDF5RoundTripTests {
  typealias Output = ObjectTree<OutputTensor>

  /// Writes a tree whose storages are filled by `fill`, and opens it.
  static func write(
    _ tree: Output, storages: [Int], to path: String,
    fill: (Int, Int) -> UInt8 = { UInt8(truncatingIfNeeded: $0 * 31 &+ $1) }
  ) throws {
    let writer = try HDF5Writer(file: StagedFile(path: path), layout: SinkLayout(tree: tree, storages: storages))
    for (storage, count) in storages.enumerated() {
      try writer.file.write((0..<count).map { fill(storage, $0) }, at: writer.offsets[storage])
    }
    try writer.finish(checksums: [])
    try writer.file.publish()
  }

  private static func tensor(_ dtype: DType, _ shape: [Int], _ storage: Int) -> Output {
    .tensor(OutputTensor(dtype: dtype, shape: shape, storage: storage))
  }

  @Test func everyValueComesBack() throws {
    let folder = try TemporaryFolder()
    let dtypes: [DType] = [.float64, .float32, .float16, .bfloat16, .int64, .int32, .int16, .uint8, .bool]
    var entries: [Output.Entry] = []
    var storages: [Int] = []
    for (index, dtype) in dtypes.enumerated() {
      entries.append(.init(.string(dtype.rawValue), Self.tensor(dtype, [index + 1, 3], index)))
      storages.append((index + 1) * 3 * dtype.size)
    }
    let next = storages.count
    entries += [
      .init(.string("scalar"), Self.tensor(.float32, [], next)),
      .init(.string("empty"), Self.tensor(.int64, [0, 4], next + 1)),
      .init(.string("tied"), Self.tensor(.float64, [1, 3], 0)),
      .init(.string("folder/inner/w"), Self.tensor(.uint8, [5], next + 2)),
      .init(.string("folder/v"), Self.tensor(.uint8, [2], next + 3)),
      .init(.string("é \"quoted\" \\ name"), Self.tensor(.uint8, [1], next + 4)),
    ]
    storages += [4, 0, 5, 2, 1]
    let tree = Output.dictionary(
      [
        .init(.string("model"), .dictionary(entries, ordered: true)),
        .init(
          .string("optimizer"),
          .dictionary(
            [
              .init(.int(0), .list([.double(0.1), .double(.infinity), .double(-0.0), .double(1e-300)])),
              .init(.bool(true), .tuple([.int(.max), .longInt("123456789012345678901234567890"), .none])),
              .init(.double(1.5), .set([.int(7)])),
              .init(.none, .bool(false)),
            ], ordered: false)),
        .init(.string("text"), .string("héllo\n\u{1}\"\\")),
        .init(.string("bytes"), .bytes([0, 255, 10])),
        .init(.string("dtype"), .opaque(.dtype("torch.bfloat16"))),
        .init(.string("device"), .opaque(.device("cuda", 1))),
        .init(.string("cpu"), .opaque(.device("cpu", nil))),
        .init(.string("complex"), .opaque(.complex(1.5, -2))),
        .init(.string("nothing"), .dictionary([], ordered: false)),
        .init(.string("step"), .int(4)),
      ], ordered: false)
    try Self.write(tree, storages: storages, to: folder.file("all.mdl"))

    let reader = try HDF5Reader(file: InputFile(path: folder.file("all.mdl")))
    #expect(
      try reader.tree.mapTensors { (tensor) throws -> OutputTensor in
        let bytes = try reader.bytes(tensor)
        // The storage is known by its content, which begins with its number times 31.
        let expected = storages.indices.first { index in
          storages[index] == bytes.count
            && bytes == (0..<bytes.count).map { UInt8(truncatingIfNeeded: index * 31 &+ $0) }
        }
        return OutputTensor(dtype: tensor.dtype, shape: tensor.shape, storage: try #require(expected))
      } == tree)
    #expect(reader.tree["model"]?["tied"] == reader.tree["model"]?["float64"])
    #expect(reader.storages.count == storages.count)
    for storage in reader.storages where storage.byteCount > 0 { #expect(storage.extent != nil) }
  }

  @Test(arguments: [
    DType.int8, .complex32, .complex64, .complex128, .float8E4M3FN, .float8E5M2, .uint16, .uint32, .uint64,
  ])
  func refusesTypesThatTheToolCannotHold(_ dtype: DType) throws {
    let folder = try TemporaryFolder()
    let layout = SinkLayout(
      tree: .dictionary([.init(.string("w"), Self.tensor(dtype, [1], 0))], ordered: false), storages: [16])
    let error = try #require(throws: ConversionError.self) {
      try HDF5Writer(file: StagedFile(path: folder.file("x.mdl")), layout: layout)
    }
    #expect(error.kind == .usage)
    #expect(error.message.contains("w is a tensor of \(dtype.rawValue)"), "\(error.message)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test(arguments: [
    [("a.b", "x"), ("a", "b")], [("a//b", "x"), ("a/b", "x")], [("a", ""), ("a/b", "")], [("a/b", ""), ("a", "")],
    [("/", "")], [("", "")], [("a\0b", "")],
  ])
  func refusesKeysThatClash(_ keys: [(String, String)]) throws {
    let folder = try TemporaryFolder()
    let entries = keys.enumerated().map { index, key in
      let tensor = Self.tensor(.uint8, [1], index)
      return Output.Entry(
        .string(key.0),
        key.1.isEmpty || key.1 == "x" ? tensor : .dictionary([.init(.string(key.1), tensor)], ordered: false))
    }
    let layout = SinkLayout(tree: .dictionary(entries, ordered: false), storages: keys.map { _ in 1 })
    let error = try #require(throws: ConversionError.self) {
      try HDF5Writer(file: StagedFile(path: folder.file("x.mdl")), layout: layout)
    }
    #expect(error.kind == .usage)
  }

  @Test func anUnfinishedFileIsRefused() throws {
    let folder = try TemporaryFolder()
    let layout = SinkLayout(
      tree: .dictionary([.init(.string("w"), Self.tensor(.uint8, [1], 0))], ordered: false), storages: [1])
    let writer = try HDF5Writer(file: StagedFile(path: folder.file("x.mdl")), layout: layout)
    try writer.file.publish()
    #expect(throws: ConversionError.self) { try HDF5Reader(file: InputFile(path: folder.file("x.mdl"))) }
  }

  /// The messages of a version-1 object header are counted with 16 bits; the root needs another kind from there on.
  @Test(arguments: [65_530, 65_531])
  func moreLeavesThanAVersion1HeaderCounts(_ count: Int) throws {
    let folder = try TemporaryFolder()
    let tree = Output.list([Self.tensor(.uint8, [3], 0)] + (1..<count).map { .int($0) })
    try Self.write(tree, storages: [3], to: folder.file("long.mdl"))
    let reader = try HDF5Reader(file: InputFile(path: folder.file("long.mdl")))
    guard case .list(let values) = reader.tree, case .tensor(let tensor)? = values.first else {
      Issue.record("no list")
      return
    }
    #expect(values.count == count)
    #expect(values.last == .int(count - 1))
    #expect(try reader.bytes(tensor) == [0, 1, 2])
  }

  /// Many more tensors than fit a node of the group's B-tree, a heap collection or a table of open files.
  @Test func manyTensorsComeBack() throws {
    let folder = try TemporaryFolder()
    let count = 9_000
    let entries = (0..<count).map {
      Output.Entry(.string("layers.\($0 / 4).experts.\($0 % 4).weight"), Self.tensor(.uint8, [2, 1], $0))
    }
    let tree = Output.dictionary([.init(.string("model"), .dictionary(entries, ordered: false))], ordered: false)
    try Self.write(tree, storages: Array(repeating: 2, count: count), to: folder.file("many.mdl"))
    let reader = try HDF5Reader(file: InputFile(path: folder.file("many.mdl")))
    guard case .dictionary(let read, _)? = reader.tree["model"] else {
      Issue.record("no model")
      return
    }
    #expect(read.map(\.key) == entries.map(\.key).map { $0.description }.map { .string($0) })
    for index in stride(from: 0, to: count, by: 997) {
      guard case .tensor(let tensor) = read[index].value else { continue }
      #expect(
        try reader.bytes(tensor) == [UInt8(truncatingIfNeeded: index * 31), UInt8(truncatingIfNeeded: index * 31 + 1)])
    }
  }
}
