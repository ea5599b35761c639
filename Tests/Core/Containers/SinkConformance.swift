import Testing

@testable import Core

/// What is put into a container: a tree whose tensors carry their bytes.
struct Sample {
  var tree: ObjectTree<OutputTensor>
  /// Content of each storage.
  var contents: [[UInt8]]

  /// A flat dictionary of tensors with a storage each, filled with a pattern.
  static func flat(_ tensors: [(String, DType, [Int])]) -> Sample {
    var sample = Sample(tree: .none, contents: [])
    sample.tree = .dictionary(tensors.map { .init(.string($0.0), sample.tensor($0.1, $0.2)) }, ordered: false)
    return sample
  }

  /// Adds a storage with a pattern of its own and returns a tensor on it.
  mutating func tensor(_ dtype: DType, _ shape: [Int]) -> ObjectTree<OutputTensor> {
    let seed = contents.count
    let count = shape.reduce(1, *) * dtype.size
    let isBool = dtype == .bool
    contents.append((0..<count).map { isBool ? UInt8(($0 + seed) % 2) : UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) })
    return .tensor(OutputTensor(dtype: dtype, shape: shape, storage: contents.count - 1))
  }

  var layout: SinkLayout { SinkLayout(tree: tree, storages: contents.map(\.count)) }

  /// Writes the sample; storages are filled last to first.
  func write<Sink: TensorSink>(with sink: Sink.Type, to path: String) throws {
    let sink = try Sink(file: StagedFile(path: path), layout: layout)
    for index in contents.indices.reversed() { try sink.file.write(contents[index], at: sink.offsets[index]) }
    try sink.finish(checksums: sink.needsChecksums ? contents.map { Checksum.crc32($0) } : [])
    try sink.file.publish()
  }

  /// Writes, opens again, and compares everything.
  func roundTrip<Sink: TensorSink>(with sink: Sink.Type, kind: ContainerKind) throws {
    let folder = try TemporaryFolder()
    try write(with: sink, to: folder.file("checkpoint"))
    let source = try Checkpoint.open(path: folder.file("checkpoint"))
    #expect(source.kind == kind)
    var failure: (any Error)?
    let found = source.tree.mapTensors { tensor -> ReadTensor in
      let bytes = (try? source.elements(tensor)) ?? []
      do { try expectChecksum(of: tensor.storage, in: source) } catch { failure = error }
      return ReadTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: bytes)
    }
    if let failure { throw failure }
    let expected = tree.mapTensors { tensor in
      let size = tensor.shape.reduce(1, *) * tensor.dtype.size
      return ReadTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: Array(contents[tensor.storage][..<size]))
    }
    #expect(sorted(found) == sorted(expected))
  }

  /// What the container states about a storage is true of its bytes.
  private func expectChecksum(of storage: StorageID, in source: any TensorSource) throws {
    let descriptor = source.storages[storage.index]
    guard let stated = descriptor.crc32 else { return }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: descriptor.byteCount, alignment: 64)
    defer { bytes.deallocate() }
    try source.read(storage, at: 0, into: bytes)
    #expect(Checksum.crc32(UnsafeRawBufferPointer(bytes)) == stated)
  }

  /// safetensors keeps no order of keys.
  private func sorted(_ tree: ObjectTree<ReadTensor>) -> ObjectTree<ReadTensor> {
    guard case .dictionary(let entries, let ordered) = tree else { return tree }
    return .dictionary(entries.sorted { $0.key.description < $1.key.description }, ordered: ordered)
  }
}

/// A tensor with its elements.
struct ReadTensor: Sendable, Hashable {
  let dtype: DType
  let shape: [Int]
  let bytes: [UInt8]
}

/// What every writer and its reader must do. A container calls it with its own types; nested trees and sharing are left
/// out where the container has none.
enum SinkConformance {
  static func check<Sink: TensorSink>(_ sink: Sink.Type, kind: ContainerKind, dtypes: [DType], nested: Bool) throws {
    try Sample.flat(dtypes.map { ($0.rawValue, $0, [2, 3]) }).roundTrip(with: sink, kind: kind)
    try Sample.flat([]).roundTrip(with: sink, kind: kind)
    try Sample.flat([("scalar", .float32, []), ("empty", .float32, [0, 4]), ("last", .int64, [0])])
      .roundTrip(with: sink, kind: kind)
    try Sample.flat([("wéight 😀/中", .float32, [1]), ("", .int8, [3]), ("quote\"back\\slash\u{1}\n", .uint8, [2])])
      .roundTrip(with: sink, kind: kind)
    try Sample.flat((0..<1_500).map { ("layer.\($0).weight", .float16, [$0 % 5, 3]) }).roundTrip(with: sink, kind: kind)
    if nested { try nestedTree().roundTrip(with: sink, kind: kind) }
    if Sink.sharesStorages {
      try sharing().roundTrip(with: sink, kind: kind)
    } else {
      let folder = try TemporaryFolder()
      let error = conversionError { try Sink(file: StagedFile(path: folder.file("shared")), layout: sharing().layout) }
      #expect(error?.kind == .usage)
    }
  }

  /// Two names of one tensor, and two types on one storage.
  private static func sharing() -> Sample {
    var sample = Sample(tree: .none, contents: [])
    let tied = sample.tensor(.float32, [4, 2])
    let wide = sample.tensor(.int32, [3])
    sample.tree = .dictionary(
      [
        .init(.string("embedding"), tied), .init(.string("head"), tied), .init(.string("wide"), wide),
        .init(.string("narrow"), .tensor(OutputTensor(dtype: .uint8, shape: [12], storage: 1))),
      ], ordered: false)
    return sample
  }

  /// Everything that a training checkpoint may hold.
  private static func nestedTree() -> Sample {
    var sample = Sample(tree: .none, contents: [])
    let weight = sample.tensor(.bfloat16, [3, 2])
    let moment = sample.tensor(.float32, [3, 2])
    let bytes = (0...255).map { UInt8($0) }
    sample.tree = .dictionary(
      [
        .init(.string("model"), .dictionary([.init(.string("w"), weight)], ordered: true)),
        .init(
          .string("state"),
          .dictionary(
            [.init(.int(0), .dictionary([.init(.string("exp_avg"), moment)], ordered: false))], ordered: false)),
        .init(.bool(true), .bool(false)), .init(.none, .none), .init(.double(1.5), .double(-0.1)),
        .init(.tuple([.int(1), .string("a")]), .tuple([.int(255), .int(256), .int(65_536), .int(-1), .int(.min)])),
        .init(.int(-5), .list([.int(.max), .longInt("1180591620717411303424"), .longInt("-9223372036854775809")])),
        .init(.string("bytes"), .bytes(bytes)), .init(.string("no bytes"), .bytes([])),
        .init(.string("set"), .set([.int(3), .string("x")])),
        .init(.string("tuples"), .tuple([.tuple([]), .list([])])),
        .init(.string("text"), .string("täst 😀")), .init(.string("dtype"), .opaque(.dtype("torch.float16"))),
        .init(.string("devices"), .list([.opaque(.device("cpu", nil)), .opaque(.device("cuda", 1))])),
        .init(.string("complex"), .opaque(.complex(1, -2.5))),
        .init(.string("long"), .list((0..<2_500).map { .int($0) })),
      ], ordered: false)
    return sample
  }
}
