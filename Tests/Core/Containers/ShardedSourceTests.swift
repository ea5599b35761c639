import Foundation
import OrderedCollections
import Testing

@testable import Core

@Suite struct ShardedSourceTests {
  /// A shard in memory: one storage of four bytes for each name, filled with the given byte.
  private struct Shard: TensorSource {
    let kind: ContainerKind
    let tree: ObjectTree<TensorDescriptor>
    let storages: [StorageDescriptor]
    let fill: UInt8

    init(_ names: [String], fill: UInt8, kind: ContainerKind = .safetensors) {
      self.kind = kind
      self.fill = fill
      tree = .dictionary(
        names.enumerated().map { index, name in
          .init(.string(name), .tensor(TensorDescriptor(dtype: .float32, shape: [1], storage: StorageID(index))))
        }, ordered: true)
      storages = names.map { _ in StorageDescriptor(byteCount: 4, extent: nil) }
    }

    func read(
      _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ConversionError) {
      for index in buffer.indices { buffer[index] = fill &+ UInt8(storage.index) }
    }
  }

  private let index = try? ShardIndex.parse(
    Array(#"{"weight_map": {"b": "2", "a": "1", "c": "1"}}"#.utf8), name: "m.index.json")

  private func names(_ source: ShardedSource) -> [String] {
    guard case .dictionary(let entries, _) = source.tree else { return [] }
    return entries.map(\.key.description)
  }

  private func firstByte(of name: String, in source: ShardedSource) throws -> UInt8 {
    guard case .tensor(let tensor)? = source.tree[name] else { return 0 }
    var bytes: [UInt8] = [0, 0, 0, 0]
    try bytes.withUnsafeMutableBytes { try source.read(tensor.storage, at: 0, into: $0) }
    return bytes[3]
  }

  @Test func joinsShardsInTheOrderOfTheIndex() throws {
    let index = try #require(index)
    let source = try ShardedSource(
      index: index, name: "m.index.json",
      shards: [("2", Shard(["b"], fill: 20)), ("1", Shard(["a", "c"], fill: 10))])
    #expect(names(source) == ["b", "a", "c"])
    #expect(source.storages.count == 3)
    #expect(source.kind == .safetensors)
    #expect(try firstByte(of: "b", in: source) == 20)
    #expect(try firstByte(of: "a", in: source) == 10)
    #expect(try firstByte(of: "c", in: source) == 11)
  }

  /// The index decides, and a notice says so.
  @Test func leavesOutWhatTheIndexPlacesElsewhere() throws {
    let index = try #require(index)
    let source = try ShardedSource(
      index: index, name: "m.index.json",
      shards: [("1", Shard(["a", "b", "c"], fill: 10)), ("2", Shard(["b", "c"], fill: 20))])
    #expect(names(source) == ["b", "a", "c"])
    #expect(try firstByte(of: "b", in: source) == 20)
    #expect(try firstByte(of: "c", in: source) == 12)
    let notices = source.notices.map(\.message)
    #expect(notices.count == 2)
    #expect(notices.first?.contains("1 also holds b (read from 2)") == true)
    #expect(notices.last?.contains("2 also holds c (read from 1)") == true)
  }

  @Test func joinsShardsWithoutAnIndex() throws {
    let source = try ShardedSource(shards: [("1", Shard(["a", "c"], fill: 10)), ("2", Shard(["b"], fill: 20))])
    #expect(names(source) == ["a", "c", "b"])
    #expect(try firstByte(of: "b", in: source) == 20)
  }

  @Test func joinsContainersOfDifferentKinds() throws {
    let source = try ShardedSource(shards: [
      ("1", Shard(["a"], fill: 10)), ("2", Shard(["b"], fill: 20, kind: .torchZip)),
    ])
    #expect(try firstByte(of: "a", in: source) == 10)
    #expect(try firstByte(of: "b", in: source) == 20)
  }

  @Test func namesWhatDoesNotFit() throws {
    let index = try #require(index)
    let cases: [([(name: String, source: any TensorSource)], String)] = [
      ([("2", Shard(["b"], fill: 0))], "the shard 1 of a is missing"),
      ([("2", Shard(["b"], fill: 0)), ("1", Shard(["a"], fill: 0))], "c is not in its shard 1"),
      ([("2", Shard(["b", "x", "y"], fill: 0)), ("1", Shard(["a", "c"], fill: 0))], "2 holds x and 1 more"),
      ([("2", Shard(["b"], fill: 0)), ("1", Shard(["a", "c", "a"], fill: 0))], "1 holds a twice"),
    ]
    for (shards, message) in cases {
      #expect { try ShardedSource(index: index, name: "m.index.json", shards: shards) } throws: { error in
        guard let error = error as? ConversionError else { return false }
        return error.kind == .unreadableInput && error.message.contains(message)
      }
    }
    #expect { try ShardedSource(shards: [("1", Shard(["a"], fill: 0)), ("2", Shard(["a"], fill: 0))]) } throws: {
      ($0 as? ConversionError)?.message == "a is in two shards, 1 and 2"
    }
  }
}
