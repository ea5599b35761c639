import Foundation
import Testing

@testable import Core

@Suite struct ReportTests {
  private func report(_ result: ConversionResult) throws -> [String: Any] {
    let path = try #require(result.files.last?.path)
    #expect(path.hasSuffix(".report.json"))
    return try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
  }

  /// Size and digest of every file, the report's among them, are those of what was published.
  private func checkFiles(_ result: ConversionResult) throws {
    for file in result.files {
      let bytes = [UInt8](try Data(contentsOf: URL(filePath: file.path)))
      #expect(file.size == bytes.count, "\(file.name)")
      #expect(file.sha256 == sha256(bytes), "\(file.name)")
      #expect(file.name == file.path.split(separator: "/").last.map(String.init))
    }
    #expect(result.size == result.files.reduce(0) { $0 + $1.size })
  }

  private func digest(_ path: String) throws -> String { sha256([UInt8](try Data(contentsOf: URL(filePath: path)))) }

  @Test func saysWhatWasReadDoneAndWritten() throws {
    let model = try SmallGPT2()
    var options = ConversionOptions()
    options.report = true
    options.dtype = .bfloat16
    let path = try model.write(TorchZipWriter.self, as: "model.bin")
    let result = try model.convert([path], options: options)
    #expect(result.files.last?.path == model.folder.file("out/model_to_cs-1.8.report.json"))
    let report = try report(result)
    #expect(report["zooport"] as? String == Zooport.version)
    #expect(report["hops"] as? [String] == ["hf", "cs-1.8"])
    #expect((report["options"] as? [String: Any])?["dtype"] as? String == "bfloat16")
    let inputs = try #require(report["inputs"] as? [[String: Any]])
    #expect(inputs.map { $0["name"] as? String } == ["model.bin", "config.json"])
    #expect(inputs.map { $0["sha256"] as? String } == [try digest(path), try digest(model.config)])
    let outputs = try #require(report["outputs"] as? [[String: Any]])
    #expect(outputs.map { $0["name"] as? String } == ["model_to_cs-1.8.mdl", "config_to_cs-1.8.yaml"])
    #expect(
      outputs.map { $0["sha256"] as? String } == [try digest(result.files[0].path), try digest(result.files[1].path)])
    try checkFiles(result)

    let written = try Checkpoint.open(path: result.files[0].path).tensors()
    let tensors = try #require(report["tensors"] as? [[String: Any]])
    #expect(tensors.count == written.count)
    for tensor in tensors {
      let key = try #require(tensor["key"] as? String)
      let found = try #require(written["model.\(key)"], "\(key)")
      #expect(tensor["sha256"] as? String == sha256(found.bytes), "\(key)")
      #expect(tensor["dtype"] as? String == "bfloat16")
      #expect(tensor["shape"] as? [Int] == found.shape)
      #expect((tensor["sources"] as? [String])?.isEmpty == false)
      #expect((tensor["transform"] as? String)?.contains("float32 to bfloat16") == true)
    }
  }

  /// A state dict that a trainer wrapped, with a head that it left out because it is tied.
  @Test func namesTheDeviationsThatApplied() throws {
    let model = try SmallGPT2()
    var options = ConversionOptions()
    options.report = true
    var sample = SmallGPT2.sample()
    let plain = try model.convert([try model.write(TorchZipWriter.self, as: "model.bin")], options: options)
    #expect((try report(plain)["deviations"] as? [Any])?.isEmpty == true)

    guard case .dictionary(let entries, _) = sample.tree else { return }
    let untied = entries.filter { $0.key != .string("lm_head.weight") }
    sample.tree = .dictionary([.init(.string("state_dict"), .dictionary(untied, ordered: true))], ordered: false)
    try sample.write(with: TorchZipWriter.self, to: model.folder.file("wrapped.bin"))
    let result = try model.convert([model.folder.file("wrapped.bin")], options: options)
    let deviations = try #require(try report(result)["deviations"] as? [[String: String]])
    #expect(deviations.map { $0["subject"] } == ["", "lm_head.weight"])
    #expect(deviations.first?["message"]?.contains("'state_dict'") == true)
    #expect(deviations.last?["message"]?.contains("transformer.wte.weight") == true)
    #expect(deviations.last?["rule"]?.hasPrefix("Core/") == true)
  }

  @Test func coversShardsAndConfigsAlone() throws {
    let model = try SmallGPT2()
    var options = ConversionOptions()
    options.report = true
    let result = try model.convert([try model.write(TorchZipWriter.self, as: "model.bin")], options: options)
    options.maxShardSize = 4_000
    let back = try model.convert(
      [result.files[0].path], from: "cs-1.8", to: "hf", config: result.config, options: options)
    let report = try report(back)
    let outputs = try #require(report["outputs"] as? [[String: Any]])
    for (output, file) in zip(outputs, back.files) { #expect(output["sha256"] as? String == (try digest(file.path))) }
    try checkFiles(back)
    #expect(outputs.count == back.files.count - 1)
    let files = Set(try #require(report["tensors"] as? [[String: Any]]).compactMap { $0["file"] as? String })
    #expect(files.count == outputs.count - 2)

    let alone = try Conversion.run(
      ConversionRequest(
        command: .convertConfig, model: "gpt2", sourceFormat: "cs-1.8", targetFormat: "hf", config: result.config,
        outputDirectory: model.folder.file("alone"), options: options), monitor: UnattendedMonitor())
    #expect(alone.files.last?.path == model.folder.file("alone/config_to_cs-1.8_to_hf.report.json"))
    #expect((try self.report(alone)["tensors"] as? [Any])?.isEmpty == true)
    try checkFiles(alone)
  }
}
