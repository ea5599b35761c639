import Foundation
import Testing

@testable import Core

@Suite struct WriterTests {
  @Test func torchZipConforms() throws {
    try SinkConformance.check(TorchZipWriter.self, kind: .torchZip, dtypes: DType.allCases, nested: true)
  }

  @Test func safetensorsConforms() throws {
    let dtypes = DType.allCases.filter { $0 != .complex32 && $0 != .complex128 }
    try SinkConformance.check(SafetensorsWriter.self, kind: .safetensors, dtypes: dtypes, nested: false)
  }

  @Test func safetensorsRefusesWhatItCannotHold() throws {
    let folder = try TemporaryFolder()
    var sample = Sample.flat([("z", .complex128, [1])])
    #expect(
      conversionError { try SafetensorsWriter(file: StagedFile(path: folder.file("a")), layout: sample.layout) }?.kind
        == .usage)
    sample = Sample(tree: .dictionary([.init(.string("step"), .int(3))], ordered: false), contents: [])
    let error = conversionError {
      try SafetensorsWriter(file: StagedFile(path: folder.file("a")), layout: sample.layout)
    }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("'step'") == true)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func safetensorsSortsAsTheLibraryDoes() throws {
    let folder = try TemporaryFolder()
    let sample = Sample.flat([("b", .float32, [1]), ("a", .float32, [1]), ("c", .int64, [1]), ("d", .bool, [1])])
    try sample.write(with: SafetensorsWriter.self, to: folder.file("s"))
    let data = try Data(contentsOf: URL(fileURLWithPath: folder.file("s")))
    let header = String(decoding: data[8..<8 + Int(data[0]) + Int(data[1]) << 8], as: UTF8.self)
    let expected =
      #"{"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"#
      + #""a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},"#
      + #""d":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]}}"#
    #expect(header.hasPrefix(expected))
    #expect(header.dropFirst(expected.count).allSatisfy { $0 == " " })
    #expect(header.utf8.count.isMultiple(of: 8))
  }

  @Test func storagesOfTorchAreAlignedAndSharedOnes() throws {
    let folder = try TemporaryFolder()
    var sample = Sample.flat([("a", .int8, [3]), ("b", .int8, [5])])
    guard case .dictionary(var entries, _) = sample.tree else { return }
    entries.append(.init(.string("tied"), entries[0].value))
    sample.tree = .dictionary(entries, ordered: false)
    let sink = try TorchZipWriter(file: StagedFile(path: folder.file("t")), layout: sample.layout)
    #expect(sink.offsets.allSatisfy { $0.isMultiple(of: 64) })
    try sample.write(with: TorchZipWriter.self, to: folder.file("t"))
    let source = try Checkpoint.open(path: folder.file("t"))
    #expect(source.storages.count == 2)
    #expect(source.storages.map(\.crc32) == sample.contents.map { Checksum.crc32($0) })
    #expect(source.tree["a"] == source.tree["tied"])
  }

  @Test func unpublishedFilesVanish() throws {
    let folder = try TemporaryFolder()
    do {
      _ = try TorchZipWriter(file: StagedFile(path: folder.file("t")), layout: Sample.flat([("a", .int8, [3])]).layout)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  /// More entries than 16 bits count: the directory needs zip64.
  @Test func manyEntriesNeedZip64() throws {
    let folder = try TemporaryFolder()
    let count = 65_600
    var sample = Sample(tree: .none, contents: Array(repeating: [7], count: count))
    sample.tree = .list((0..<count).map { .tensor(OutputTensor(dtype: .uint8, shape: [1], storage: $0)) })
    try sample.write(with: TorchZipWriter.self, to: folder.file("many"))
    let source = try Checkpoint.open(path: folder.file("many"))
    #expect(source.storages.count == count)
    #expect(source.storages.allSatisfy { $0.byteCount == 1 && $0.crc32 == Checksum.crc32([7]) })
  }

  /// A storage of more than 4 GiB, as a hole in the file: sizes and offsets need zip64.
  @Test(arguments: [true, false]) func largeStorages(torch: Bool) throws {
    let folder = try TemporaryFolder()
    let size = (4 << 30) + 64
    let layout = SinkLayout(
      tree: .dictionary(
        [
          .init(.string("large"), .tensor(OutputTensor(dtype: .uint8, shape: [size], storage: 0))),
          .init(.string("tail"), .tensor(OutputTensor(dtype: .uint8, shape: [4], storage: 1))),
        ], ordered: false), storages: [size, 4])
    let sink: any TensorSink =
      torch
      ? try TorchZipWriter(file: StagedFile(path: folder.file("l")), layout: layout)
      : try SafetensorsWriter(file: StagedFile(path: folder.file("l")), layout: layout)
    try sink.file.write([1, 2, 3, 4], at: sink.offsets[1])
    try sink.file.write([9], at: sink.offsets[0] + size - 1)
    // The content of the large storage is not checked here, so its checksum does not matter.
    try sink.finish(checksums: torch ? [1, Checksum.crc32([1, 2, 3, 4])] : [])
    try sink.file.publish()
    let source = try Checkpoint.open(path: folder.file("l"))
    guard case .tensor(let tail)? = source.tree["tail"], case .tensor(let large)? = source.tree["large"] else {
      Issue.record("a tensor is missing")
      return
    }
    #expect(try source.elements(tail) == [1, 2, 3, 4])
    #expect(large.shape == [size])
    var last: [UInt8] = [0]
    try last.withUnsafeMutableBytes { try source.read(large.storage, at: size - 1, into: $0) }
    #expect(last == [9])
  }
}
