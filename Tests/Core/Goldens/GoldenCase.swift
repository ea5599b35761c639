import Core
import Foundation
import OrderedCollections
import Testing

/// One recorded conversion of the vendor's tool: its inputs, and what it wrote.
struct GoldenCase: Sendable, CustomTestStringConvertible {
  let folder: URL
  let model: String
  let source: String
  let target: String
  let config: String
  let checkpoint: String
  let expectedConfig: String
  let expectedCheckpoint: String
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
      let config: String
      let checkpoint: String

      enum CodingKeys: CodingKey {
        case config, checkpoint
      }

      /// A checkpoint of several files is a list; the first is its index, the second its only shard.
      init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        config = try values.decode(String.self, forKey: .config)
        checkpoint =
          try (try? values.decode(String.self, forKey: .checkpoint))
          ?? values.decode([String].self, forKey: .checkpoint)[1]
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
    config = folder.appending(path: record.source.config).path
    checkpoint = folder.appending(path: record.source.checkpoint).path
    expectedConfig = record.expected.config
    expectedCheckpoint = record.expected.checkpoint
    randomKeys = Set(record.random_keys ?? [])
    roundedKeys = record.approx_1ulp_keys ?? []
    corrections = (try? ConfigDocument.load(path: file.path).root.section(at: "corrected")) ?? [:]
  }

  /// Where a conversion into a folder writes what the tool wrote into `expected`.
  func output(_ expected: String, in folder: TemporaryFolder) -> String {
    folder.file(expected.hasPrefix("expected/") ? String(expected.dropFirst("expected/".count)) : expected)
  }

  func isRounded(_ key: String) -> Bool {
    roundedKeys.contains { $0.hasPrefix("*") ? key.hasSuffix($0.dropFirst()) : key == $0 }
  }
}
