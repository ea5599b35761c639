import Foundation
import Testing

@testable import Core

/// Names of outputs, and the writer that they name.
@Suite struct OutputNamesTests {
  @Test(arguments: [
    ("pytorch_model.bin", "pytorch_model"), ("pytorch_model.bin.index.json", "pytorch_model"),
    ("checkpoint_1.7.mdl", "checkpoint_1.7"), ("ckpt_1.7.final.bin", "ckpt_1.7"), ("my.model.config.json", "my"),
    ("checkpoint_1.7", "checkpoint_1.7"), ("weights", "weights"), ("model.h5", "model"), ("model.v2", "model.v2"),
    ("model.h5.mdl", "model.h5"), (".mdl", ".mdl"), (".hidden.bin", ".hidden"), ("model.", "model."),
  ])
  func leavesOutExtensionsOfLetters(name: String, stem: String) {
    #expect(OutputStem.withoutExtensions(name) == stem)
  }

  @Test func namesOutputsAsTheToolDoes() throws {
    let model = try SmallGPT2()
    let checkpoint = try model.write(TorchZipWriter.self, as: "ckpt_1.7.final.bin")
    let config = model.folder.file("my.model.json")
    try FileManager.default.copyItem(atPath: model.config, toPath: config)
    let result = try model.convert([checkpoint], config: config)
    #expect(result.checkpoint == model.folder.file("out/ckpt_1.7_to_cs-1.8.mdl"))
    #expect(result.config == model.folder.file("out/my_to_cs-1.8.yaml"))
    let alone = try Conversion.run(
      ConversionRequest(
        command: .convertConfig, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8", config: config),
      monitor: UnattendedMonitor())
    #expect(alone.config == model.folder.file("my.model_to_cs-1.8.yaml"), "convert-config leaves the last one out")
  }

  /// The whole way from a release that writes folders, and to one that writes HDF5.
  @Test func writesAFolderFromTwoZeroOn() throws {
    let model = try SmallGPT2()
    let source = try model.write(SafetensorsWriter.self, as: "model.safetensors")
    let there = try model.convert([source], to: "cs-2.9")
    #expect(there.checkpoint == model.folder.file("out/model_to_cs-2.9.mdl"))
    let checkpoint = try #require(there.checkpoint)
    #expect(try Checkpoint.open(path: checkpoint).kind == .hdf5)
    #expect(try Data(contentsOf: URL(filePath: checkpoint)).range(of: Data("2.9.0".utf8)) != nil)

    let back = try model.convert([checkpoint], from: "cs-2.9", to: "hf", config: there.config)
    let folder = model.folder.file("out/model_to_cs-2.9_to_hf")
    #expect(back.checkpoint == folder)
    #expect(
      back.files.map { String($0.path.dropFirst(folder.count + 1)) }
        == ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json", "config.json"])
    var options = ConversionOptions()
    options.maxShardSize = 0
    let single = try model.convert([checkpoint], from: "cs-2.9", to: "hf", config: there.config, options: options)
    #expect(single.checkpoint == folder + ".bin")
    #expect(try CheckpointComparison(left: folder, right: folder + ".bin").isSame)
  }

  @Test func theNewestReleaseHasItsContainers() throws {
    let model = try SmallGPT2()
    let source = try model.write(TorchZipWriter.self, as: "model.bin")
    var options = ConversionOptions()
    options.outputFormat = .bin
    #expect(conversionError { try model.convert([source], to: "cs-current", options: options) }?.kind == .usage)
    #expect(try model.convert([source], to: "cs-current").checkpoint == model.folder.file("out/model_to_cs-2.10.mdl"))
  }

  @Test func shardsFromTwoZeroOn() throws {
    var options = ConversionOptions()
    let sources = [Format.cs(Release(1, 6)), .cs(Release(1, 9)), .cs(Release(2, 0)), .cs(Release(2, 10))]
    #expect(sources.map { options.shardSize(from: $0, to: .hf) } == [nil, nil, 10_000_000_000, 10_000_000_000])
    #expect(options.shardSize(from: .hf, to: .cs(Release(2, 9))) == nil)
    options.maxShardSize = 0
    #expect(sources.map { options.shardSize(from: $0, to: .hf) } == [nil, nil, nil, nil])
    #expect(options.problems(target: .hf).isEmpty && options.problems(target: .cs(Release(2, 0))).isEmpty)
    options.maxShardSize = 77
    #expect(sources.map { options.shardSize(from: $0, to: .hf) } == [77, 77, 77, 77])
    options.maxShardSize = -1
    #expect(options.problems(target: .hf).map(\.option) == ["max_shard_size"])
  }

  @Test func aSizeOfZeroIsOneFile() throws {
    let model = try SmallGPT2()
    _ = try model.convert([try model.write(TorchZipWriter.self, as: "model.bin")])
    var options = ConversionOptions()
    options.maxShardSize = 0
    let back = try model.convert(
      [model.folder.file("out/model_to_cs-1.8.mdl")], from: "cs-1.8", to: "hf",
      config: model.folder.file("out/config_to_cs-1.8.yaml"), options: options)
    #expect(back.checkpoint == model.folder.file("out/model_to_cs-1.8_to_hf.bin"))
    #expect(back.config == model.folder.file("out/config_to_cs-1.8_to_hf.json"))
  }

  @Test(arguments: [
    (Release(2, 0), "2.0.0"), (Release(2, 9), "2.9.0"), (Release(2, 10), "2.10.0"), (Release(1, 8), "2.10.0"),
    (nil, "2.10.0"),
  ])
  func hdf5NamesTheReleaseOfTheTarget(release: Release?, version: String) throws {
    let folder = try TemporaryFolder()
    let tree = ObjectTree<OutputTensor>.dictionary(
      [.init(.string("w"), .tensor(OutputTensor(dtype: .float32, shape: [1], storage: 0)))], ordered: true)
    let writer = try HDF5Writer(
      file: StagedFile(path: folder.file("a.mdl")), layout: SinkLayout(tree: tree, storages: [4], release: release))
    try writer.finish(checksums: [])
    var publication = Publication()
    publication.add(writer.file)
    try publication.publish(durably: false)
    let bytes = try Data(contentsOf: URL(filePath: folder.file("a.mdl")))
    #expect(bytes.range(of: Data(version.utf8)) != nil)
    #expect(release == Release(2, 10) || version == "2.10.0" || bytes.range(of: Data("2.10.0".utf8)) == nil)
  }
}
