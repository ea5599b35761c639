import Foundation
import Testing

@testable import Core

/// Whatever form a checkpoint has, the conversion is that of the single file.
@Suite struct CheckpointInputTests {
  let model: SmallGPT2
  let expected: [String: ReadTensor]

  init() throws {
    model = try SmallGPT2()
    let result = try model.convert([try model.write(TorchZipWriter.self, as: "whole.bin")])
    expected = try Checkpoint.open(path: try #require(result.checkpoint)).tensors()
    #expect(expected.count > SmallGPT2.tensors.count)
    try FileManager.default.removeItem(atPath: model.folder.file("whole.bin"))
  }

  private func check(_ paths: [String], stem: String) throws {
    let result = try model.convert(paths)
    #expect(result.checkpoint == model.folder.file("out/\(stem)_to_cs-1.8.mdl"))
    #expect(try Checkpoint.open(path: try #require(result.checkpoint)).tensors() == expected)
  }

  @Test func readsAnIndexOfArchives() throws {
    let paths = try model.writeShards(TorchZipWriter.self, base: "pytorch_model", ending: "bin")
    try check([paths[0]], stem: "pytorch_model")
    try check(Array(paths.reversed()), stem: "pytorch_model")
    try check(Array(paths.dropFirst()), stem: "pytorch_model")
    try check([model.folder.path], stem: "pytorch_model")
  }

  @Test func readsAnIndexOfSafetensors() throws {
    let paths = try model.writeShards(SafetensorsWriter.self, base: "model", ending: "safetensors")
    try check([paths[0]], stem: "model")
    try check([model.folder.path], stem: "model")
    try FileManager.default.removeItem(atPath: paths[0])
    try check([model.folder.path], stem: "model")
  }

  @Test func readsTheOneFileOfAFolder() throws {
    _ = try model.write(SafetensorsWriter.self, as: "weights.v2.safetensors")
    try check([model.folder.path], stem: "weights.v2")
    // Among several, the name that transformers looks for is meant.
    _ = try model.write(TorchZipWriter.self, as: "pytorch_model.bin")
    try check([model.folder.path], stem: "pytorch_model")
  }

  @Test func findsShardsThatLieElsewhere() throws {
    let paths = try model.writeShards(TorchZipWriter.self, base: "pytorch_model", ending: "bin")
    try FileManager.default.createDirectory(atPath: model.folder.file("far"), withIntermediateDirectories: true)
    let far = model.folder.file("far/pytorch_model-00002-of-00003.bin")
    try FileManager.default.moveItem(atPath: paths[2], toPath: far)
    try check([paths[0], far], stem: "pytorch_model")
  }

  @Test func namesWhatIsMissingOrTooMuch() throws {
    let paths = try model.writeShards(TorchZipWriter.self, base: "pytorch_model", ending: "bin")
    let other = try model.write(TorchZipWriter.self, as: "other.bin")
    func error(_ paths: [String], _ kind: ErrorKind, _ names: String) {
      let error = conversionError { try model.convert(paths) }
      #expect(error?.kind == kind)
      #expect(error?.message.contains(names) == true, "\(error?.message ?? "")")
    }
    error([paths[0], other], .unreadableInput, other)
    error([paths[1], paths[3]], .unreadableInput, "pytorch_model-00002-of-00003")
    error([paths[1], paths[1], paths[2]], .unreadableInput, "pytorch_model-00003-of-00003")
    error([model.folder.path, other], .usage, "is a folder")
    error([paths[0], paths[0]], .usage, "two indexes")
    error([], .usage, "names no checkpoint")
    try FileManager.default.removeItem(atPath: paths[2])
    error([paths[0]], .unreadableInput, "pytorch_model-00002-of-00003.bin")
    try FileManager.default.removeItem(atPath: paths[0])
    error([model.folder.path], .unreadableInput, "more than one checkpoint")
    let empty = try TemporaryFolder()
    error([empty.path], .unreadableInput, "holds no checkpoint")
  }
}
