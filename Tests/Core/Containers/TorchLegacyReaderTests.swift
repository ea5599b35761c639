import Testing

@testable import Core

@Suite struct TorchLegacyReaderTests {
  @Test func readsViewsOfOneStorage() throws {
    let folder = try TemporaryFolder()
    let source = try Checkpoint.open(path: try folder.write(LegacyStream.bytes(), as: "legacy.bin"))
    #expect(source.kind == .torchLegacy)
    #expect(source.storages.count == 1)
    #expect(try values(source, "w") == [1, 2, 3, 4, 5, 6])
    #expect(try values(source, "t") == [1, 4, 2, 5, 3, 6])
    #expect(try values(source, "part") == [5, 6])
  }

  @Test func refusesOtherByteOrders() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(LegacyStream.bytes(littleEndian: false), as: "big.bin")
    let error = conversionError { try Checkpoint.open(path: path) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("big-endian") == true)
  }

  @Test func refusesStoragesThatContradictThePickle() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(LegacyStream.bytes(stored: 5), as: "short.bin")
    #expect(conversionError { try Checkpoint.open(path: path) }?.kind == .hostileInput)
    let cut = try folder.write(Array(LegacyStream.bytes().dropLast(1)), as: "cut.bin")
    #expect(conversionError { try Checkpoint.open(path: cut) }?.kind == .unreadableInput)
  }

  private func values(_ source: any TensorSource, _ key: String) throws -> [Int32] {
    guard case .tensor(let tensor)? = source.tree[key] else { return [] }
    return try source.elements(tensor).withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
  }
}
