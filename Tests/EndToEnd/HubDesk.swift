import Crypto
import Foundation
import TestSupport
import Testing

/// GPT-2 as Hugging Face has it: `config.json` and `pytorch_model.bin`.
enum Sample {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures/gpt2")
  static let isPresent = FileManager.default.fileExists(atPath: folder.appending(path: "pytorch_model.bin").path)
}

/// A folder where somebody sits and types commands of the real binary, with a model and what becomes of it.
struct HubDesk {
  /// What a command printed, and how it ended.
  struct Output {
    let status: Int32
    let output: String
    let errors: String
  }

  static let commit = String(repeating: "c0ffee00", count: 5)
  static let formats = ["--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8"]

  let folder: URL
  let config: Data
  let checkpoint: Data

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "zooport-hub-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    config = try Data(contentsOf: Sample.folder.appending(path: "config.json"))
    checkpoint = try Data(contentsOf: Sample.folder.appending(path: "pytorch_model.bin"))
  }

  /// Removes the folder.
  func leave() { try? FileManager.default.removeItem(at: folder) }

  static func file(_ bytes: Data, isLarge: Bool = true) -> TestHub.File {
    TestHub.File(bytes, sha256: SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined(), isLarge: isLarge)
  }

  static func file(_ text: String) -> TestHub.File { file(Data(text.utf8), isLarge: false) }

  /// Starts a command, which prints into files of the folder.
  func start(_ arguments: [String], hub: TestHub? = nil, environment: [String: String] = [:]) throws -> Process {
    let process = Process()
    process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
    process.arguments = arguments
    process.currentDirectoryURL = folder
    var variables = ["XDG_CACHE_HOME": folder.appending(path: "cache").path, "PATH": "/usr/bin:/bin"]
    if let hub { variables["HF_ENDPOINT"] = hub.endpoint }
    process.environment = variables.merging(environment) { $1 }
    let (output, errors) = (folder.appending(path: "stdout"), folder.appending(path: "stderr"))
    for file in [output, errors] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    return process
  }

  /// Runs a command to its end.
  func run(_ arguments: [String], hub: TestHub? = nil, environment: [String: String] = [:]) throws -> Output {
    let process = try start(arguments, hub: hub, environment: environment)
    process.waitUntilExit()
    return Output(
      status: process.terminationStatus,
      output: try String(contentsOf: folder.appending(path: "stdout"), encoding: .utf8),
      errors: try String(contentsOf: folder.appending(path: "stderr"), encoding: .utf8))
  }

  /// Converts inputs into a folder and answers what is there then, or records why it failed.
  func convert(_ inputs: String..., into name: String = UUID().uuidString, hub: TestHub) throws -> [String: Data] {
    let target = folder.appending(path: name)
    let result = try run(["convert"] + inputs + Self.formats + ["--output-dir", target.path], hub: hub)
    #expect(result.status == 0, "\(inputs): \(result.errors)")
    return (try? contents(target)) ?? [:]
  }

  /// The repository as one .bin, with a tokenizer.
  func hub(_ name: String = "owner/gpt2") throws -> TestHub {
    try TestHub([
      name: .init([
        "config.json": Self.file(config, isLarge: false), "pytorch_model.bin": Self.file(checkpoint),
        "tokenizer.json": Self.file(#"{"a": 1}"#), "README.md": Self.file(Data("x".utf8)),
      ])
    ])
  }

  /// The files that a conversion of local files gives, by name.
  func expected() throws -> [String: Data] {
    let target = folder.appending(path: "expected")
    let result = try run([
      "convert", "--model", "gpt2", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--output-dir", target.path,
      Sample.folder.appending(path: "pytorch_model.bin").path, "--config",
      Sample.folder.appending(path: "config.json").path,
    ])
    #expect(result.status == 0)
    return try contents(target)
  }

  /// The files of a folder by name.
  func contents(_ folder: URL) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Data(contentsOf: folder.appending(path: name))
    }
    return files
  }

  /// GPT-2 as safetensors shards with their index and config.
  func shards() throws -> [String: TestHub.File] {
    _ = try expected()
    let back = folder.appending(path: "back")
    let result = try run([
      "convert", "--model", "gpt2", "--src-fmt", "cs-1.8", "--tgt-fmt", "hf", "--output-format", "safetensors",
      "--max-shard-size", "\(checkpoint.count / 3)", "--output-dir", back.path,
      folder.appending(path: "expected/pytorch_model_to_cs-1.8.mdl").path, "--config",
      folder.appending(path: "expected/config_to_cs-1.8.yaml").path,
    ])
    #expect(result.status == 0, "\(result.errors)")
    let folder = back.appending(path: "pytorch_model_to_cs-1.8_to_hf")
    return try contents(folder).reduce(into: [:]) { files, entry in
      files[entry.key] = Self.file(entry.value, isLarge: !entry.key.hasSuffix(".json"))
    }
  }

  /// A service that knows a hub.
  func serve(_ hub: TestHub, data: String = "data", _ more: [String] = []) throws -> ServiceProcess {
    try ServiceProcess(
      folder: folder.appending(path: data),
      arguments: ["--hub-endpoint", hub.endpoint, "--retry-delay", "1", "--fetch-stall", "2"] + more)
  }

  /// The body of a job.
  func request(_ checkpoint: [String: Any], options: [String: Any] = [:]) -> [String: Any] {
    ["model": "auto", "src_fmt": "hf", "tgt_fmt": "cs-1.8", "checkpoint": checkpoint, "options": options]
  }

  func url(_ job: [String: Any]) throws -> String { try #require(job["url"] as? String, "\(job)") }
}
