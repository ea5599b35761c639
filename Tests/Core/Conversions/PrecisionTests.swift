import OrderedCollections
import Testing

@testable import Core

@Suite struct PrecisionTests {
  private func options(_ dtype: Precision, budget: Int? = nil) -> ConversionOptions {
    var options = ConversionOptions()
    options.dtype = dtype
    options.verify = true
    if let budget { options.memoryBudget = budget }
    return options
  }

  /// Transposed and concatenated tensors, in one tile and in many.
  @Test(arguments: [Precision.float16, .bfloat16], [256 << 20, 1 << 20])
  func castsEveryModelTensor(precision: Precision, budget: Int) throws {
    let model = try SmallGPT2()
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let plain = try Checkpoint.open(path: try #require(try model.convert([path]).checkpoint)).tensors()
    let cast = try model.convert([path], options: options(precision, budget: budget))
    let tensors = try Checkpoint.open(path: try #require(cast.checkpoint)).tensors()
    #expect(Set(tensors.keys) == Set(plain.keys))
    for (key, tensor) in tensors {
      let original = try #require(plain[key])
      #expect(tensor.dtype == precision.dtype)
      #expect(tensor.shape == original.shape)
      let values = original.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      let expected = values.map { value in
        // The upper half of a float32 is exact for these values' neighbours; float16 by the language's own type.
        precision == .float16
          ? Float16(value).bitPattern : UInt16((value.bitPattern &+ 0x7FFF &+ value.bitPattern >> 16 & 1) >> 16)
      }
      #expect(tensor.bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt16.self)) } == expected, "\(key)")
    }
    #expect(cast.warnings.isEmpty)
  }

  @Test func leavesIntegersAndMasksAlone() throws {
    let floats = SymbolicTensor(source: "a", dtype: .float64, shape: [2])
    #expect(floats.cast(to: .float16).dtype == .float16)
    #expect(floats.cast(to: .float16).byteCount == 4)
    #expect(floats.cast(to: .float64) == floats)
    let generated = try SymbolicTensor(generated: .normal(shape: [2], standardDeviation: 1, seed: 1))
    #expect(generated.cast(to: .bfloat16).dtype == .bfloat16)
    for tensor in [
      SymbolicTensor(source: "a", dtype: .int64, shape: [2]), SymbolicTensor(source: "a", dtype: .bool, shape: [2]),
      SymbolicTensor(source: "a", dtype: .complex64, shape: [2]), try SymbolicTensor(generated: .causalMask(size: 2)),
      try SymbolicTensor(generated: .scalar(-1e9)),
      try SymbolicTensor(generated: .inverseFrequencies(base: 10_000, dimension: 4)),
    ] { #expect(tensor.cast(to: .float16) == tensor) }
  }

  /// float16 ends at 65,504; plus and minus 65,536 stand in two tensors.
  @Test func warnsOnceOfValuesThatBecomeInfinite() throws {
    let model = try SmallGPT2()
    var sample = SmallGPT2.sample()
    for index in [2, 5] { sample.contents[index].replaceSubrange(0..<8, with: [0, 0, 0x80, 0x47, 0, 0, 0x80, 0xC7]) }
    try sample.write(with: TorchZipWriter.self, to: model.folder.file("model.bin"))
    let result = try model.convert([model.folder.file("model.bin")], options: options(.float16))
    #expect(result.warnings.count == 1)
    #expect(result.warnings.first?.message.hasPrefix("4 values are too large for float16") == true)
    #expect(result.warnings.first?.message.contains("norm1.weight") == true, "\(result.warnings)")
    #expect(try model.convert([model.folder.file("model.bin")], options: options(.bfloat16)).warnings.isEmpty)
  }

  @Test func configNamesThePrecision() throws {
    let route = try Catalogue.route(model: "gpt2", from: "cs-1.8", to: "hf")
    let checkpoint = MemoryCheckpoint(["lm_head.weight": [2, 8]], model: true)
    var planning = Planner.Options()
    planning.allowIncomplete = true
    planning.dropUnmatchedKeys = true
    planning.precision = .float16
    let plan = try Planner.plan(
      config: ["model": ["dropout_rate": 0.1, "hidden_size": 8]], checkpoint: checkpoint.tree, along: route,
      options: planning)
    // Only where it is present.
    #expect(plan.config["torch_dtype"] == nil)
  }
}
