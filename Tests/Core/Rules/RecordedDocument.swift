import Foundation
import OrderedCollections
import Testing

@testable import Core

/// A recorded conversion of a params document from one release to the next.
struct RecordedDocument: Sendable, CustomTestStringConvertible {
  let name: String
  /// The registry's name.
  let model: String
  let source: Release
  let target: Release
  let config: String
  let expected: String

  var testDescription: String { name }

  private struct Record: Decodable {
    struct Files: Decodable { let config: String }
    let model: String
    let src_fmt: String
    let tgt_fmt: String
    let source: Files
    let expected: Files
  }

  private init?(_ file: URL) {
    guard let data = try? Data(contentsOf: file), let record = try? JSONDecoder().decode(Record.self, from: data),
      let source = Release(record.src_fmt), let target = Release(record.tgt_fmt)
    else { return nil }
    let folder = file.deletingLastPathComponent()
    name = "cs-2.10/\(folder.deletingLastPathComponent().lastPathComponent)/\(folder.lastPathComponent)"
    model =
      switch record.model {
      case "esm-2": "esm2"
      case let name where name.hasSuffix("-headless"): String(name.dropLast("-headless".count))
      case let name: name
      }
    self.source = source
    self.target = target
    config = folder.appending(path: record.source.config).path
    expected = folder.appending(path: record.expected.config).path
  }

  private static func cases(under folder: URL) -> [RecordedDocument] {
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
    return (files ?? []).filter { $0.lastPathComponent == "case.json" }.sorted { $0.path < $1.path }
      .compactMap(RecordedDocument.init).filter { $0.source >= Release(2, 0) && $0.target > Release(2, 0) }
  }

  /// The cases that come with the project.
  static let all = cases(
    under: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/goldens/cs-2.10")
      .standardizedFileURL)

  /// All cases beside the project, of every model, but those that are listed as deviations.
  static let shared: [RecordedDocument] = {
    guard let folder = ConfigFixtures.shared?.appending(path: "goldens/cs-2.10") else { return [] }
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/deviations.json")
    let deviations =
      (try? JSONDecoder().decode([String: String].self, from: Data(contentsOf: file.standardizedFileURL))) ?? [:]
    return cases(under: folder).filter { deviations[$0.name] == nil }
  }()

  /// The document after the rules of every release between source and target.
  func converted() throws -> ConfigObject {
    try Self.converted(ConfigDocument.load(path: config).root, from: source, to: target, model: model)
  }

  /// A document after the rules of every release between two releases of 2.x.
  static func converted(
    _ document: ConfigObject, from source: Release, to target: Release, model: String = "gpt2"
  ) throws -> ConfigObject {
    let context = DocumentContext(modelName: model, start: .cs(source))
    var document = document
    let (low, high) = (min(source, target).minor, max(source, target).minor)
    let hops = (low..<high).map { Release(2, $0 + 1) }
    for release in source < target ? hops : hops.reversed() {
      document = try DocumentRules.apply(
        ModelZooDocuments.rules(of: release), to: document, from: source < target ? .older : .newer, context: context
      ).document
    }
    return document
  }
}

/// The value with the keys of every mapping in alphabetical order.
func inKeyOrder(_ value: ConfigValue) -> ConfigValue {
  switch value {
  case .object(let object):
    var result = ConfigObject()
    for key in object.keys.sorted() { result[key] = object[key].map(inKeyOrder) }
    return .object(result)
  case .array(let values): return .array(values.map(inKeyOrder))
  default: return value
  }
}
