import Foundation
import Synchronization
import Testing

@testable import Core

/// Preparing writes nothing, and says what executing is going to write.
@Suite struct PreparedConversionTests {
  private func request(
    _ model: SmallGPT2, _ checkpoint: String, options: ConversionOptions = ConversionOptions()
  ) -> ConversionRequest {
    ConversionRequest(
      command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8", config: model.config,
      checkpoint: [checkpoint], outputDirectory: model.folder.file("new/out"), options: options)
  }

  /// Keeps every report.
  private final class Recorder: ConversionMonitor {
    let seen = Mutex<[ConversionProgress]>([])

    var isCancelled: Bool { false }
    func report(_ progress: ConversionProgress) { seen.withLock { $0.append(progress) } }
    func of(_ phase: ConversionProgress.Phase) -> [ConversionProgress] {
      seen.withLock { $0.filter { $0.phase == phase } }
    }
  }

  @Test func preparingWritesNothing() throws {
    let model = try SmallGPT2()
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let before = FileManager.default.subpaths(atPath: model.folder.path)?.sorted()
    let monitor = Recorder()
    let prepared = try Conversion.prepare(request(model, path), monitor: monitor)
    #expect(FileManager.default.subpaths(atPath: model.folder.path)?.sorted() == before)
    #expect(monitor.seen.withLock { $0.map(\.phase) } == [.planning])

    let result = try prepared.execute(monitor)
    #expect(result.files.map(\.name) == ["model_to_cs-1.8.mdl", "config_to_cs-1.8.yaml"])
    #expect(result.files.allSatisfy { $0.sha256 == nil })
    let converted = try #require(monitor.of(.converting).last)
    #expect(converted.bytesDone == prepared.costs.bytesWritten)
    // Tied tensors are written once.
    let written = try Checkpoint.open(path: result.files[0].path)
    #expect(prepared.costs.bytesWritten == written.storages.reduce(0) { $0 + $1.byteCount })
    #expect(prepared.costs.scratchBytes == 0)
    #expect(prepared.costs.diskBytes == prepared.costs.bytesWritten)
  }

  @Test func aPreparedConversionCanBeExecutedAgain() throws {
    let model = try SmallGPT2()
    let path = try model.write(SafetensorsWriter.self, as: "model.safetensors")
    let prepared = try Conversion.prepare(request(model, path), monitor: UnattendedMonitor())
    let first = try prepared.execute(UnattendedMonitor())
    let bytes = try Data(contentsOf: URL(filePath: first.files[0].path))
    let second = try prepared.execute(UnattendedMonitor())
    #expect(second.files == first.files)
    #expect(try Data(contentsOf: URL(filePath: second.files[0].path)) == bytes)
  }

  @Test func aConfigAloneCostsNothing() throws {
    let model = try SmallGPT2()
    var request = request(model, "")
    request.command = .convertConfig
    request.checkpoint = []
    let prepared = try Conversion.prepare(request, monitor: UnattendedMonitor())
    #expect(prepared.costs.diskBytes == 0)
    #expect(try prepared.execute(UnattendedMonitor()).files.map(\.name) == ["config_to_cs-1.8.yaml"])
  }

  @Test(arguments: [OutputFormat.torch, .hdf5]) func everyLongPhaseCountsItsBytes(format: OutputFormat) throws {
    let model = try SmallGPT2()
    var options = ConversionOptions()
    options.outputFormat = format
    options.verify = true
    options.report = true
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let monitor = Recorder()
    let result = try Conversion.run(request(model, path, options: options), monitor: monitor)
    for phase in [ConversionProgress.Phase.converting, .verifying, .digesting, .publishing] {
      let reports = monitor.of(phase)
      let last = try #require(reports.map(\.bytesDone).max(), "\(phase)")
      #expect(reports[0].bytesDone == 0, "\(phase)")
      #expect(reports[0].bytesTotal > 0 && last == reports[0].bytesTotal, "\(phase)")
    }
    let size = { try FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int ?? 0 }
    #expect(monitor.of(.publishing)[0].bytesTotal == result.size)
    let tensors = try Checkpoint.open(path: result.files[0].path).tensors().values.reduce(0) { $0 + $1.bytes.count }
    #expect(monitor.of(.verifying)[0].bytesTotal == tensors)
    let outputs = result.files.dropLast().reduce(0) { $0 + $1.size }
    #expect(monitor.of(.digesting)[0].bytesTotal == (try size(path)) + (try size(model.config)) + outputs + tensors)
    // Without a sync there is nothing to wait for.
    options.durable = false
    let hasty = Recorder()
    _ = try Conversion.run(request(model, path, options: options), monitor: hasty)
    #expect(hasty.of(.publishing).map(\.bytesTotal) == [0])
  }

  @Test func messagesNameFilesWhereFoldersAreHidden() throws {
    let model = try SmallGPT2()
    let path = try model.folder.write(Array("GGUF and more".utf8), as: "model.bin")
    var hidden = request(model, path)
    hidden.hidesFolders = true
    hidden.files.call(path, "weights.bin")
    hidden.files.call(model.config, "my.json")
    let folder = model.folder.path
    func message(_ request: ConversionRequest) throws -> String {
      let error = try #require(conversionError { try Conversion.run(request, monitor: UnattendedMonitor()) })
      #expect(!error.message.contains(folder), "\(error.message)")
      #expect(!error.diagnostics.contains { $0.message.contains(folder) || $0.subject.description.contains(folder) })
      return error.message
    }
    #expect(try message(hidden).hasPrefix("weights.bin is a GGUF file"))
    let config = try model.folder.write(Array("[".utf8), as: "broken.json")
    hidden.config = config
    hidden.files.call(config, "my.json")
    #expect(try message(hidden).hasPrefix("my.json"))

    // Outputs that cannot be written.
    var good = request(model, try model.write(TorchZipWriter.self, as: "model.bin"))
    good.hidesFolders = true
    good.outputDirectory = try model.folder.write([1], as: "file") + "/out"
    #expect(try message(good).hasPrefix("The output folder cannot be created"))
    good.outputDirectory = folder
    try FileManager.default.createDirectory(
      atPath: model.folder.file("config_to_cs-1.8.yaml/x"), withIntermediateDirectories: true)
    #expect(try message(good).hasPrefix("config_to_cs-1.8.yaml cannot be written"))
  }
}

@Suite struct MemoryPlanTests {
  @Test func everythingAddsUpToTheBudget() {
    for bytes in [8 << 20, 64 << 20, 256 << 20, 1 << 30, 16 << 30] {
      for threads in [1, 2, 4, 8] {
        for (keepsChunks, spools) in [(false, false), (true, false), (false, true), (true, true)] {
          var memory = MemoryPlan(bytes: bytes, threads: threads)
          memory.keepsChunks = keepsChunks
          memory.spools = spools
          let buffers =
            3 * threads * memory.tiles.tileBytes + (keepsChunks ? memory.cacheBytes : 0)
            + (spools ? threads * memory.spoolPieceBytes : 0)
          #expect(buffers <= bytes, "\(bytes), \(threads), \(keepsChunks), \(spools)")
          #expect(memory.peak(names: 0) == buffers + 32 << 20)
          #expect(memory.peak(names: 10) - memory.peak(names: 0) == 10 << 10)
        }
      }
    }
  }

  @Test func namesTakeTheirShareFromTheBuffers() {
    var memory = MemoryPlan(bytes: 64 << 20, threads: 2)
    #expect(memory.tiles.bytes == 64 << 20)
    memory.excess = 16 << 20
    #expect(memory.tiles.bytes == 48 << 20)
    // The source was opened with its cache before anybody knew.
    #expect(memory.cacheBytes == 16 << 20)
    memory.excess = 1 << 40
    #expect(memory.tiles.bytes == 8 << 20)
    #expect(MemoryPlan(bytes: 1 << 20, threads: 0).threads == 1)
  }
}
