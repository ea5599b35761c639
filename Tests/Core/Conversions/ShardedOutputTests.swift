import Foundation
import OrderedCollections
import Testing

@testable import Core

@Suite struct ShardedOutputTests {
  let model: SmallGPT2
  let whole: [String: ReadTensor]

  /// A Model Zoo checkpoint, and what it is as one Hugging Face file.
  init() throws {
    model = try SmallGPT2()
    _ = try model.convert([try model.write(TorchZipWriter.self, as: "model.bin")])
    whole = try Checkpoint.open(path: try #require(try Self.back(model).checkpoint)).tensors()
  }

  private static func back(
    _ model: SmallGPT2, _ format: OutputFormat? = nil, size: Int? = nil
  ) throws -> ConversionResult {
    var options = ConversionOptions()
    options.maxShardSize = size
    options.outputFormat = format
    return try model.convert(
      [model.folder.file("out/model_to_cs-1.8.mdl")], from: "cs-1.8", to: "hf",
      config: model.folder.file("out/config_to_cs-1.8.yaml"), options: options)
  }

  @Test(arguments: [
    (OutputFormat.bin, "pytorch_model", "bin", 2_000), (.safetensors, "model", "safetensors", 2_000),
    (.bin, "pytorch_model", "bin", 1), (.safetensors, "model", "safetensors", 1 << 40),
  ])
  func shardsHoldEveryTensorOnce(format: OutputFormat, base: String, ending: String, size: Int) throws {
    let result = try Self.back(model, format, size: size)
    let folder = model.folder.file("out/model_to_cs-1.8_to_hf")
    #expect(result.checkpoint == folder)
    #expect(result.config == folder + "/config.json")
    let index = try #require(
      try JSONSerialization.jsonObject(
        with: Data(contentsOf: URL(filePath: "\(folder)/\(base).\(ending).index.json"))) as? [String: Any])
    let map = try #require(index["weight_map"] as? [String: String])
    #expect(Set(map.keys) == Set(whole.keys))
    let names = Set(map.values).sorted()
    for (position, name) in names.enumerated() {
      let number = String("0000\(position + 1)".suffix(5))
      #expect(name == "\(base)-\(number)-of-\(String("0000\(names.count)".suffix(5))).\(ending)")
      let tensors = try Checkpoint.open(path: "\(folder)/\(name)").tensors()
      #expect(Set(tensors.keys) == Set(map.filter { $0.value == name }.keys))
      for (key, tensor) in tensors { #expect(tensor == whole[key], "\(key)") }
      #expect(tensors.count == 1 || tensors.values.reduce(0) { $0 + $1.bytes.count } <= size)
    }
    let total = whole.values.reduce(0) { $0 + $1.bytes.count }
    #expect((index["metadata"] as? [String: Int])?["total_size"] == total)
    #expect(size > total ? names.count == 1 : names.count > 3)
    #expect(
      result.files.map(\.name)
        == names + ["\(base).\(ending).index.json", "config.json"])
    // What was written is read again as one checkpoint.
    let again = try model.convert([folder], config: folder + "/config.json")
    let first = try Checkpoint.open(path: model.folder.file("out/model_to_cs-1.8.mdl")).tensors()
    #expect(try Checkpoint.open(path: try #require(again.checkpoint)).tensors() == first)
  }

  @Test func isForHuggingFaceOnly() throws {
    var options = ConversionOptions()
    options.maxShardSize = 1_000
    let error = conversionError { try model.convert([model.folder.file("model.bin")], options: options) }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("max_shard_size") == true)
  }

  /// A folder in the place of one shard: nothing of the others may be left.
  @Test func publishesAllFilesOrNone() throws {
    let folder = model.folder.file("out/model_to_cs-1.8_to_hf")
    let probe = try Self.back(model, .bin, size: 2_000).files.map(\.path)
    try FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: probe[2] + "/x", withIntermediateDirectories: true)
    let before = model.outputs
    #expect(conversionError { try Self.back(model, .bin, size: 2_000) }?.kind == .outputFailed)
    #expect(model.outputs == before)
  }

  @Test(
    .enabled(if: FileManager.default.fileExists(atPath: SharedFiles.folder + "/goldens/cs-2.10/gpt2/out-shards-2KB")),
    arguments: [
      ("out-shards-2KB", 2_000), ("out-safetensors-3KiB", 3_072), ("out-shard-tiny", 100),
      ("out-safetensors", 10_000_000_000),
    ])
  func cutsWhereTheToolCuts(name: String, size: Int) throws {
    let folder = SharedFiles.folder + "/goldens/cs-2.10/gpt2/\(name)/expected/model_to_hf"
    let file = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix("index.json") })
    let index = try JSONReader.parse([UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\(file)"))), name: file)
    guard case .object(let root) = index, case .object(let map)? = root["weight_map"] else { return }
    // The sizes of the tool's own tensors, in its own order.
    var sizes: [String: ReadTensor] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.contains("-of-") {
      sizes.merge(try Checkpoint.open(path: "\(folder)/\(name)").tensors()) { first, _ in first }
    }
    let ranges = Sharding.cut(map.keys.map { sizes[$0]?.bytes.count ?? 0 }, limit: size)
    var recorded: [Range<Int>] = []
    for (position, value) in map.values.enumerated() {
      if position > 0, value == map.values[position - 1] {
        recorded[recorded.count - 1] = recorded[recorded.count - 1].lowerBound..<position + 1
      } else {
        recorded.append(position..<position + 1)
      }
    }
    #expect(ranges == recorded)
  }
}
