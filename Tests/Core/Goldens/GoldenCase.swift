import Foundation
import OrderedCollections
import Testing

@testable import Core

/// One recorded conversion of the vendor's tool: its inputs, and what it wrote.
struct GoldenCase: Sendable, CustomTestStringConvertible {
  let folder: URL
  let model: String
  let source: String
  let target: String
  let config: String
  let checkpoint: String
  /// The config, or the files beside the checkpoints of all components.
  let expectedConfigs: [String]
  /// The checkpoint, or that of each component.
  let expectedCheckpoints: [String]
  /// Keys that the tool draws at random: dtype and shape count.
  let randomKeys: Set<String>
  /// Where the tool's config is not usable: what stands there instead, by path; null for a key that must not be there.
  let corrections: ConfigObject
  /// Keys computed with a power in float32: one unit in the last place is granted. May begin with `*`.
  let roundedKeys: [String]

  var testDescription: String { "\(model) \(source) -> \(target)" }

  /// The cases of a folder of `<model>/<case>/case.json`, sorted.
  static let all: [GoldenCase] = {
    let goldens = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Fixtures/goldens")
    let files = FileManager.default.enumerator(at: goldens, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
    return (files ?? []).filter { $0.lastPathComponent == "case.json" }.sorted { $0.path < $1.path }
      .compactMap(GoldenCase.init)
  }()

  private struct Record: Decodable {
    struct Files: Decodable {
      let configs: [String]
      let checkpoints: [String]

      enum CodingKeys: CodingKey {
        case config, checkpoint
      }

      /// A checkpoint of several files is a list with an index before its shards, or with the folder that all are in.
      init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func list(_ key: CodingKeys) throws -> [String] {
          try (try? values.decode(String.self, forKey: key)).map { [$0] } ?? values.decode([String].self, forKey: key)
        }
        let configs = try list(.config)
        let checkpoints = try list(.checkpoint).filter { !$0.hasSuffix(".index.json") }
        self.configs = configs
        self.checkpoints = checkpoints.first == configs[0] ? configs : checkpoints
      }
    }
    let model: String
    let src_fmt: String
    let tgt_fmt: String
    let source: Files
    let expected: Files
    let random_keys: [String]?
    let approx_1ulp_keys: [String]?
  }

  private init?(_ file: URL) {
    guard let data = try? Data(contentsOf: file), let record = try? JSONDecoder().decode(Record.self, from: data) else {
      return nil
    }
    folder = file.deletingLastPathComponent()
    model = record.model
    source = record.src_fmt
    target = record.tgt_fmt
    config = folder.appending(path: record.source.configs[0]).path
    checkpoint = folder.appending(path: record.source.checkpoints[0]).path
    expectedConfigs = record.expected.configs
    expectedCheckpoints = record.expected.checkpoints
    randomKeys = Set(record.random_keys ?? [])
    roundedKeys = record.approx_1ulp_keys ?? []
    corrections = (try? ConfigDocument.load(path: file.path).root.section(at: "corrected")) ?? [:]
  }

  /// Where a conversion into a folder writes what the tool wrote into `expected`.
  func output(_ expected: String, in folder: TemporaryFolder) -> String {
    folder.file(expected.hasPrefix("expected/") ? String(expected.dropFirst("expected/".count)) : expected)
  }

  /// The config and the tree of the checkpoint, those of all components as one.
  func inputs() throws -> (config: ConfigObject, checkpoint: ObjectTree<TensorDescriptor>) {
    let files = try RequestInputs(
      ConversionRequest(
        command: .convert, model: model, sourceFormat: source, targetFormat: target, config: config,
        checkpoint: [checkpoint]))
    let tree = try #require(try files.checkpoint(limits: .standard, cacheBytes: 1 << 20, files: .onDisk)).source.tree
    return (try files.config(syntax: nil, limits: .standard, files: .onDisk).root, tree)
  }

  func isRounded(_ key: String) -> Bool {
    roundedKeys.contains { $0.hasPrefix("*") ? key.hasSuffix($0.dropFirst()) : key == $0 }
  }
}
