import Foundation
import Synchronization
import Testing

@testable import Core

/// Checkpoints that are elsewhere: equal to local ones, and read sparingly.
@Suite("Checkpoints elsewhere")
struct RemoteCheckpointTests {
  private func request(_ model: SmallGPT2, _ checkpoint: String, output: String) -> ConversionRequest {
    ConversionRequest(
      command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8", config: model.config,
      checkpoint: [checkpoint], outputDirectory: model.folder.file(output))
  }

  @Test("A conversion gives the bytes of a local one", arguments: [OutputFormat.bin, .safetensors])
  func equal(format: OutputFormat) throws {
    let model = try SmallGPT2()
    let local =
      format == .bin
      ? try model.write(TorchZipWriter.self, as: "model.bin")
      : try model.write(SafetensorsWriter.self, as: "model.safetensors")
    let first = try Conversion.run(request(model, local, output: "local"), monitor: UnattendedMonitor())
    let source = CountingBytes(Array(try Data(contentsOf: URL(filePath: local))))
    // No such path exists: the bytes are all there is.
    let name = "elsewhere/" + (local.split(separator: "/").last ?? "")
    var request = request(model, name, output: "remote")
    request.options.verify = true
    request.files.bring(InputFile(path: name, bytes: source), as: name)
    // All tensors together take less than spools may.
    let stored = try PlanReport(request).totals
    request.options.stream = true
    let streamed = try PlanReport(request).totals
    #expect(stored.diskNeeded == stored.bytesOut + stored.bytesToDownload)
    #expect(streamed.diskNeeded == streamed.bytesOut + stored.bytesIn)
    let second = try Conversion.run(request, monitor: UnattendedMonitor())
    for (one, other) in zip(first.files, second.files) {
      #expect(try Data(contentsOf: URL(filePath: one.path)) == Data(contentsOf: URL(filePath: other.path)), "\(one)")
    }
    // Nothing but the outputs is left.
    let names = try FileManager.default.contentsOfDirectory(atPath: model.folder.file("remote"))
    #expect(names.count == second.files.count)
  }

  private func write(_ sample: Sample, _ format: OutputFormat, to path: String) throws {
    if format == .bin {
      try sample.write(with: TorchZipWriter.self, to: path)
    } else {
      try sample.write(with: SafetensorsWriter.self, to: path)
    }
  }

  @Test("Opening reads headers, and no tensor", arguments: [OutputFormat.bin, .safetensors])
  func headers(format: OutputFormat) throws {
    let folder = try TemporaryFolder()
    let tensors = [("a", DType.float32, [3]), ("big", .float32, [1024, 1024]), ("b", .int64, [5])]
    try write(Sample.flat(tensors), format, to: folder.file("big"))
    let source = CountingBytes(Array(try Data(contentsOf: URL(filePath: folder.file("big")))))
    var opened = InputFiles()
    opened.bring(InputFile(path: "big", bytes: source), as: "big")
    let reader = try Checkpoint.open(path: "big", files: opened)
    #expect(reader.storages.map(\.byteCount).sorted() == [12, 40, 4 << 20])
    #expect(source.bytesRead < 300_000)
    #expect(source.requests <= 6)
  }

  @Test("An offset that no sum may be made with is refused", arguments: [UInt64(Int.max), UInt64(Int.max) - 30, 200])
  func hostileOffset(offset: UInt64) throws {
    func number(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    let name = Array("a/data.pkl".utf8)
    let directory: [UInt8] =
      number(0x0201_4B50, 4) + number(0, 24) + number(10, 2) + number(12, 2) + number(0, 10) + number(0xFFFF_FFFF, 4)
      + name + number(1, 2) + number(8, 2) + number(offset, 8)
    let end: [UInt8] =
      number(0x0605_4B50, 4) + number(0, 4) + number(1, 2) + number(1, 2) + number(UInt64(directory.count), 4)
      + number(4, 4) + number(0, 2)
    let archive = number(0x0403_4B50, 4) + directory + end
    var files = InputFiles()
    files.bring(InputFile(path: "x.bin", bytes: MemoryBytes(archive)), as: "x.bin")
    let error = conversionError { try Checkpoint.open(path: "x.bin", files: files) }
    #expect(error?.kind == .hostileInput)
    #expect(error?.message == "x.bin: the entry a/data.pkl starts beyond the end of the file")
  }

  @Test("Of 46 torch archives little more than their ends and pickles is read")
  func torchShards() throws {
    let folder = try TemporaryFolder()
    var files = InputFiles()
    var sources: [CountingBytes] = []
    for shard in 0..<46 {
      let tensors = (0..<24).map { ("model.layers.\(shard).weight_\($0)", DType.float32, [128, 128]) }
      let name = String(format: "pytorch_model-%05d-of-00046.bin", shard + 1)
      try write(Sample.flat(tensors), .bin, to: folder.file(name))
      let source = CountingBytes(Array(try Data(contentsOf: URL(filePath: folder.file(name)))))
      try FileManager.default.removeItem(atPath: folder.file(name))
      sources.append(source)
      let file = InputFile(path: name, bytes: source)
      files.bring(file, as: name)
      try file.prefetchHeaders()
    }
    let before = sources.reduce(0) { $0 + $1.requests }
    let paths = (1...46).map { String(format: "pytorch_model-%05d-of-00046.bin", $0) }
    let input = try CheckpointInput(paths: paths, files: files)
    #expect(input.source.storages.count == 46 * 24)
    let (bytes, requests) = sources.reduce((0, 0)) { ($0.0 + $1.bytesRead, $0.1 + $1.requests) }
    print("Headers of 46 torch archives: \(bytes / 46) bytes and \(Double(requests) / 46) requests each")
    #expect(bytes / 46 < 80 << 10)
    // All of it was asked for before, when many can be asked at once.
    #expect(requests == before)
    #expect(requests <= 46 * 3)
  }

  @Test("A pickle that does not fit the cache is read once all the same")
  func largePickle() throws {
    let folder = try TemporaryFolder()
    let tensors = (0..<12_000).map { ("a.long.name.of.some.tensor.in.a.model.\($0)", DType.float32, [1]) }
    try write(Sample.flat(tensors), .bin, to: folder.file("x"))
    let source = CountingBytes(Array(try Data(contentsOf: URL(filePath: folder.file("x")))))
    var files = InputFiles()
    files.bring(InputFile(path: "x", bytes: source), as: "x")
    let directory = try ZipDirectory(file: try files.open("x"), limits: .standard)
    let pickle = try #require(directory.entries.first { $0.name.hasSuffix("data.pkl") })
    #expect(pickle.size > BlockCache.longestKept)
    let before = source.bytesRead
    let reader = try Checkpoint.open(path: "x", files: files)
    #expect(reader.storages.count == 12_000)
    // The directory of so many entries does not fit the cache either.
    let again = try ZipEnd(file: try files.open("x")).size
    #expect(source.bytesRead - before < pickle.size + again + 256 << 10)
  }

  @Test("Spools are filled within the memory of their threads, and what they take of the disk is known before")
  func spoolSizes() throws {
    let count = 3 << 20
    let source = CountingBytes(count: count)
    let base = PlainSource(file: InputFile(path: "x", bytes: source), sizes: [count])
    let folder = try TemporaryFolder()
    let spooled = SpooledSource(base, folder: folder.file(""), readers: 1, piece: 1 << 20)
    var byte = [UInt8](repeating: 0, count: 1)
    try byte.withUnsafeMutableBytes { try spooled.read(StorageID(0), at: 9, into: $0) }
    #expect(byte[0] == source.bytes[9])
    #expect(base.reads == 3)

    #expect(SpooledSource.disk([5, 7, 3], readers: 1, capacity: 100) == 15)
    #expect(SpooledSource.disk([5, 7, 3], readers: 1, capacity: 6) == 7)
    #expect(SpooledSource.disk([5, 7, 3], readers: 2, capacity: 10) == 12)
    #expect(SpooledSource.disk([.max, .max], readers: 2) == .max)
    for (bytes, threads) in [(256 << 20, 4), (1 << 20, 1), (64 << 20, 16), (4 << 30, 2)] {
      var memory = MemoryPlan(bytes: bytes, threads: threads)
      memory.spools = true
      #expect(threads * (3 * memory.tiles.tileBytes + memory.spoolPieceBytes) <= bytes, "\(bytes) for \(threads)")
      #expect(memory.spoolPieceBytes >= 64 << 10)
    }
  }

  @Test("Many short reads of a storage cost one pass over it; long ones go through")
  func spool() throws {
    let count = 3 << 20
    let source = CountingBytes(count: count)
    let base = PlainSource(file: InputFile(path: "x", bytes: source), sizes: [count])
    let folder = try TemporaryFolder()
    let spooled = SpooledSource(base, folder: folder.file(""), readers: 1)
    var bytes = [UInt8](repeating: 0, count: 1000)
    for offset in stride(from: 0, to: count - 1000, by: 7919) {
      try bytes.withUnsafeMutableBytes { try spooled.read(StorageID(0), at: offset, into: $0) }
      #expect(bytes == Array(source.bytes[offset..<offset + 1000]))
    }
    #expect(source.bytesRead == count)
    // What is spooled has no name.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("")).isEmpty)

    let direct = SpooledSource(base, folder: folder.file(""), readers: 1)
    var long = [UInt8](repeating: 0, count: SpooledSource.longRead)
    try long.withUnsafeMutableBytes { try direct.read(StorageID(0), at: 5, into: $0) }
    #expect(long == Array(source.bytes[5..<5 + long.count]))
    #expect(source.bytesRead == count + long.count)
  }

  @Test("Spools beyond the capacity go, the least recently used first")
  func capacity() throws {
    let size = 64 << 10
    let source = CountingBytes(count: 4 * size)
    let base = PlainSource(
      file: InputFile(path: "x", bytes: source), sizes: Array(repeating: size, count: 4))
    let folder = try TemporaryFolder()
    let spooled = SpooledSource(base, folder: folder.file(""), readers: 1, capacity: 2 * size)
    var byte = [UInt8](repeating: 0, count: 1)
    func touch(_ storage: Int) throws {
      try byte.withUnsafeMutableBytes { try spooled.read(StorageID(storage), at: 9, into: $0) }
      #expect(byte[0] == source.bytes[storage * size + 9])
    }
    for storage in [0, 1, 0, 2, 0] { try touch(storage) }
    let before = base.reads
    try touch(0)
    #expect(base.reads == before)
    try touch(1)
    #expect(base.reads > before)
  }
}

/// Storages one after another in a file.
private final class PlainSource: TensorSource {
  let kind = ContainerKind.safetensors
  let tree = ObjectTree<TensorDescriptor>.dictionary([], ordered: true)
  let storages: [StorageDescriptor]
  private let file: InputFile
  private let starts: [Int]
  private let count = Mutex(0)

  var reads: Int { count.withLock { $0 } }

  init(file: InputFile, sizes: [Int]) {
    self.file = file
    storages = sizes.map { StorageDescriptor(byteCount: $0, extent: nil) }
    starts = sizes.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
  }

  func read(_ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    count.withLock { $0 += 1 }
    try file.read(at: starts[storage.index] + offset, into: buffer)
  }
}
