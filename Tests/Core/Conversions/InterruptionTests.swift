import Foundation
import Synchronization
import Testing

@testable import Core

/// What ends a conversion in the middle leaves nothing behind, whatever is read and whatever is written.
@Suite struct InterruptionTests {
  static let inputs: [ContainerKind] = [.torchZip, .safetensors, .hdf5]
  static let outputs: [OutputFormat] = [.torch, .hdf5]

  /// Cancels after a number of reports.
  private final class Impatient: ConversionMonitor {
    private let left: Mutex<Int>
    let seen = Mutex<[ConversionProgress]>([])

    init(reports: Int) { left = Mutex(reports) }

    func report(_ progress: ConversionProgress) {
      seen.withLock { $0.append(progress) }
      left.withLock { $0 -= 1 }
    }
    var isCancelled: Bool { left.withLock { $0 <= 0 } }
  }

  private func convert(
    _ model: SmallGPT2, _ path: String, _ format: OutputFormat, _ monitor: some ConversionMonitor
  ) throws -> ConversionResult {
    var options = ConversionOptions()
    options.outputFormat = format
    options.verify = true
    options.allowIncomplete = true
    return try Conversion.run(
      ConversionRequest(
        command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8", config: model.config,
        checkpoint: [path], outputDirectory: model.folder.file("out"), options: options), monitor: monitor)
  }

  @Test(arguments: inputs, outputs) func cancellingLeavesNothing(input: ContainerKind, output: OutputFormat) throws {
    let model = try SmallGPT2()
    let path = try model.write(input.writer, as: "model")
    for reports in [1, 2, 10, 30] {
      let error = conversionError { try convert(model, path, output, Impatient(reports: reports)) }
      #expect(error?.kind == .cancelled, "after \(reports) reports")
      #expect(model.outputs.isEmpty)
    }
    let patient = Impatient(reports: .max)
    _ = try convert(model, path, output, patient)
    #expect(model.outputs == ["config_to_cs-1.8.yaml", "model_to_cs-1.8.mdl"])
    let phases = patient.seen.withLock { $0.map(\.phase) }
    #expect(phases.first == .planning)
    #expect(phases.last == .publishing)
    #expect(phases.contains(.verifying))
    let last = patient.seen.withLock { $0.last { $0.phase == .converting } }
    #expect(last.map { $0.tensorsDone == $0.tensorsTotal && $0.bytesDone == $0.bytesTotal } == true)
  }

  /// Notes how often it was asked before the first tensor, and cancels at one of these times.
  private final class Asked: ConversionMonitor {
    let count = Mutex(0)
    private let isConverting = Mutex(false)
    private let limit: Int

    init(limit: Int = .max) { self.limit = limit }

    func report(_ progress: ConversionProgress) {
      if progress.phase == .converting { isConverting.withLock { $0 = true } }
    }
    var isCancelled: Bool {
      let isConverting = isConverting.withLock { $0 }
      return count.withLock { count in
        if !isConverting { count += 1 }
        return count >= limit
      }
    }
  }

  /// Whoever reads headers, matches rules and lays files out asks once in about a thousand names, each of them.
  @Test(arguments: inputs, outputs) func planningIsInterrupted(input: ContainerKind, output: OutputFormat) throws {
    let model = try SmallGPT2()
    let layers = 400
    let path = try model.writeDeep(input.writer, layers: layers, as: "model")
    let asked = Asked()
    _ = try convert(model, path, output, asked)
    let count = asked.count.withLock { $0 }
    // The header, the state dict, the rules (twice), the plan, the layout (twice), the header that is written.
    #expect(count >= 8 * (layers * 12 / 1_024), "asked \(count) times")
    try FileManager.default.removeItem(atPath: model.folder.file("out"))
    for limit in stride(from: 1, through: count, by: max(count / 12, 1)) {
      let watched = Asked(limit: limit)
      let error = conversionError { try convert(model, path, output, watched) }
      #expect(error?.kind == .cancelled, "at question \(limit) of \(count)")
      #expect(watched.count.withLock { $0 } <= limit + 1, "went on after question \(limit)")
      #expect(model.outputs.isEmpty)
    }
  }

  /// Trying one model after the other must not take a cancellation for a model that does not fit.
  @Test func detectionIsInterrupted() throws {
    let model = try SmallGPT2()
    let path = try model.writeDeep(SafetensorsWriter.self, layers: 100, as: "model")
    var request = ConversionRequest(
      command: .convert, model: "auto", sourceFormat: "auto", targetFormat: "cs-1.8", config: model.config,
      checkpoint: [path])
    let asked = Asked()
    request.outputDirectory = model.folder.file("out")
    request.options.allowIncomplete = true
    _ = try Conversion.run(request, monitor: asked)
    let count = asked.count.withLock { $0 }
    for limit in stride(from: 1, through: count, by: max(count / 8, 1)) {
      let error = conversionError { try Conversion.run(request, monitor: Asked(limit: limit)) }
      #expect(error?.kind == .cancelled, "at question \(limit) of \(count)")
    }
    // A plan alone asks less often, as it lays nothing out.
    for limit in [1, count / 4, count / 2] {
      let asked = Asked(limit: limit)
      let error = conversionError { try PlanReport(request, isCancelled: { asked.isCancelled }) }
      #expect(error?.kind == .cancelled, "at question \(limit) of \(count)")
    }
  }

  /// Shards are joined by name, from an index that is as long as the checkpoint.
  @Test func readingShardsIsInterrupted() throws {
    let model = try SmallGPT2()
    let path = try model.writeDeep(SafetensorsWriter.self, layers: 200, as: "model-00001-of-00001.safetensors")
    let keys = try Checkpoint.open(path: path).tensors().keys
    let map = Dictionary(uniqueKeysWithValues: keys.map { ($0, "model-00001-of-00001.safetensors") })
    let index = try model.folder.write(
      [UInt8](try JSONSerialization.data(withJSONObject: ["weight_map": map])), as: "model.safetensors.index.json")
    let questions = Mutex(0)
    _ = try Interruption.heeding({
      questions.withLock { $0 += 1 }
      return false
    }) { () throws(ConversionError) in try CheckpointInput(paths: [index]) }
    let count = questions.withLock { $0 }
    #expect(count >= 4 * 2)
    for limit in 1...count {
      questions.withLock { $0 = 0 }
      let error = conversionError {
        try Interruption.heeding({
          questions.withLock { count in
            count += 1
            return count >= limit
          }
        }) { () throws(ConversionError) in try CheckpointInput(paths: [index]) }
      }
      #expect(error?.kind == .cancelled, "at question \(limit) of \(count)")
    }
  }

  /// The file loses its tail between the reading of its header and the reading of its tensors.
  @Test(arguments: inputs, outputs) func aFileThatShrinksIsAnError(input: ContainerKind, output: OutputFormat) throws {
    let model = try SmallGPT2()
    let path = try model.write(input.writer, as: "model")
    final class Cutter: ConversionMonitor {
      let path: String
      init(_ path: String) { self.path = path }
      func report(_ progress: ConversionProgress) {
        if progress.phase == .converting { truncate(path, 3_000) }
      }
      var isCancelled: Bool { false }
    }
    let error = conversionError { try convert(model, path, output, Cutter(path)) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains(path) == true, "\(error?.message ?? "")")
    #expect(model.outputs.isEmpty)
  }

  /// A bit that flipped on a disk or on the way: in a tensor that is transposed, and in one that is copied.
  @Test(arguments: ["transformer.h.1.mlp.c_fc.weight", "transformer.wte.weight", "transformer.h.0.attn.c_attn.weight"])
  func aTensorThatContradictsItsChecksumIsAnError(key: String) throws {
    let model = try SmallGPT2()
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let source = try Checkpoint.open(path: path)
    guard case .tensor(let tensor)? = source.tree[key] else {
      Issue.record("\(key) is missing")
      return
    }
    let extent = try #require(source.storages[tensor.storage.index].extent)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    bytes[extent.offset + 5] ^= 4
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let error = conversionError { try convert(model, path, .torch, UnattendedMonitor()) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("checksum") == true, "\(error?.message ?? "")")
    #expect(error?.message.contains(path) == true)
    #expect(model.outputs.isEmpty)
  }

  /// One sync of a large file cannot be interrupted, so it goes by pieces.
  @Test func waitingForTheDiskCanBeInterrupted() throws {
    let folder = try TemporaryFolder()
    let file = try StagedFile(path: folder.file("a"))
    let piece = [UInt8](repeating: 7, count: 1 << 20)
    for index in 0..<40 { try file.write(piece, at: index << 20) }
    var questions = 0
    try Interruption.heeding({
      questions += 1
      return false
    }) { () throws(ConversionError) in try file.synchronize() }
    #expect(questions == 3)
    let error = conversionError {
      try Interruption.heeding({ true }) { () throws(ConversionError) in try file.synchronize() }
    }
    #expect(error?.kind == .cancelled)
  }

  /// A later file cannot get its name, so the earlier ones give theirs back.
  @Test func aPublicationThatFailsRestoresWhatItReplaced() throws {
    let folder = try TemporaryFolder()
    let old = try folder.write(Array("old".utf8), as: "a")
    try FileManager.default.createDirectory(atPath: folder.file("c"), withIntermediateDirectories: false)
    var publication = Publication()
    for name in ["a", "b", "c"] {
      let file = try StagedFile(path: folder.file(name))
      try file.write(Array("new".utf8), at: 0)
      publication.add(file)
    }
    #expect(conversionError { try publication.publish(durably: true) }?.kind == .outputFailed)
    #expect(try String(contentsOfFile: old, encoding: .utf8) == "old")
    #expect(!FileManager.default.fileExists(atPath: folder.file("b")))
    publication = Publication()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["a", "c"])
  }

  /// safetensors cannot nest, so a Model Zoo checkpoint in it is the state dict alone.
  @Test func readsAModelZooStateDictFromSafetensors() throws {
    let model = try SmallGPT2()
    _ = try model.convert([try model.write(TorchZipWriter.self, as: "model.bin")])
    let written = try Checkpoint.open(path: model.folder.file("out/model_to_cs-1.8.mdl"))
    let state = try #require(written.tree["model"])
    var sample = try Sample(written)
    guard case .dictionary(let entries, _) = sample.tree else { return }
    sample.tree = try #require(entries.first { $0.key == .string("model") }?.value)
    try sample.write(with: SafetensorsWriter.self, to: model.folder.file("flat.safetensors"))
    let result = try model.convert(
      [model.folder.file("flat.safetensors")], from: "cs-1.8", to: "hf",
      config: model.folder.file("out/config_to_cs-1.8.yaml"))
    let back = try Checkpoint.open(path: try #require(result.checkpoint)).tensors()
    #expect(back["transformer.h.0.attn.c_attn.weight"]?.shape == [8, 24])
    guard case .dictionary(let keys, _) = state else { return }
    #expect(keys.count > 20)
  }
}
