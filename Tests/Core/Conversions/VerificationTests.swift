import OrderedCollections
import Testing

@testable import Core

@Suite struct VerificationTests {
  @Test(arguments: [OutputFormat.torch, .hdf5])
  func acceptsWhatWasWritten(format: OutputFormat) throws {
    let model = try SmallGPT2()
    var options = ConversionOptions()
    options.verify = true
    options.outputFormat = format
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let result = try model.convert([path], options: options)
    #expect(result.files.count == 2)

    options.outputFormat = .safetensors
    options.maxShardSize = 2_000
    let back = try model.convert(
      [model.folder.file("out/model_to_cs-1.8.mdl")], from: "cs-1.8", to: "hf",
      config: model.folder.file("out/config_to_cs-1.8.yaml"), options: options)
    #expect(back.files.count > 4)
  }

  /// One wrong bit in the last tensor of a file that reads well otherwise.
  @Test(arguments: [OutputFormat.bin, .safetensors, .hdf5])
  func findsOneWrongBit(format: OutputFormat) throws {
    let folder = try TemporaryFolder()
    let checkpoint = MemoryCheckpoint(SmallGPT2.tensors.map { ($0.key, $0.shape) }, model: false)
    let plan = try planned(
      "gpt2", from: "hf", to: "cs-1.8",
      config: ["n_embd": 8, "n_head": 2, "n_layer": 2, "n_positions": 6, "vocab_size": 11], checkpoint)
    // safetensors holds the state dict alone.
    let tree = format == .safetensors ? try #require(plan.tree?["model"]) : try #require(plan.tree)
    let layout = try OutputLayout(plan, trees: [tree], sharing: format.sink.sharesStorages)
    let sink = try format.sink.init(file: StagedFile(path: folder.file("model")), layout: layout.sinks[0])
    let budget = Executor.Budget(bytes: 1 << 20, threads: 2)
    try Executor(source: checkpoint, budget: budget, monitor: UnattendedMonitor()).run(layout.jobs, into: [sink])
    let progress = PhaseProgress(.verifying, total: plan.byteCount, monitor: UnattendedMonitor())
    let verification = Verification(source: checkpoint, budget: budget, progress: progress)
    try verification.check(sink.file, holds: tree, of: plan)

    let last = try #require(sink.offsets.last)
    try sink.file.write([0x5A], at: last + 3)
    let error = conversionError { try verification.check(sink.file, holds: tree, of: plan) }
    #expect(error?.kind == .internal)
    #expect(error?.message.contains("'") == true, "\(error?.message ?? "")")

    let smaller = conversionError { try verification.check(sink.file, holds: .dictionary([], ordered: true), of: plan) }
    #expect(smaller?.kind == .internal)
  }
}
