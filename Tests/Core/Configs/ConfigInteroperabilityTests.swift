import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Python and PyYAML are the judges here; all of this needs `ZOOPORT_PYTHON`.
@Suite(.enabled(if: ConfigFixtures.python != nil)) struct ConfigInteroperabilityTests {
  private func read(_ text: String, _ syntax: ConfigDocument.Syntax) -> String {
    do {
      let bytes = Array(text.utf8)
      return ConfigFixtures.typed(
        try syntax == .json ? JSONReader.parse(bytes, name: "x") : YAMLReader.parse(bytes, name: "x"))
    } catch {
      return "error"
    }
  }

  @Test func resolvesPlainScalarsAsPyYAMLDoes() throws {
    var random = SplitMix(seed: 3)
    let alphabets = ["0123456789", "01.:_eE+-", "0x1fFbB_-", "0:5.9_6-", ".infINFnaNA+-", "12-T: Z+.0"].map(Array.init)
    var texts: [String] = []
    for index in 0..<20_000 {
      let letters = alphabets[index % alphabets.count]
      let length = Int.random(in: 1...(index % 6 == 5 ? 20 : 8), using: &random)
      texts.append("- " + String((0..<length).map { _ in letters.randomElement(using: &random) ?? "0" }) + "\n")
    }
    let expected = try ConfigFixtures.readByPython(texts.map { (.yaml, $0) })
    try #require(expected.count == texts.count)
    var kinds: [Substring: Int] = [:]
    for (text, expected) in zip(texts, expected) {
      #expect(read(text, .yaml) == expected, "\(text)")
      kinds[expected.dropFirst(6).prefix(3), default: 0] += 1
    }
    // The corpus is worth something only if it hits each kind often.
    for kind in ["[\"i", "[\"f", "[\"s"] { #expect((kinds[kind[...]] ?? 0) > 200, "\(kind)") }
  }

  @Test func readsWhatPyYAMLDumps() throws {
    var random = SplitMix(seed: 5)
    let values = (0..<3_000).map { _ in ConfigSamples.value(depth: 3, &random) }
    let dumped = try ConfigFixtures.dumpedByPython(values)
    try #require(dumped.count == values.count)
    for (text, typed) in dumped { #expect(read(text, .yaml) == typed, "\(text)") }
  }

  @Test func writesWhatPythonReadsBack() throws {
    var random = SplitMix(seed: 9)
    let values = (0..<3_000).map { _ in ConfigSamples.value(depth: 3, &random) }
    let documents = values.flatMap {
      [
        (ConfigDocument.Syntax.yaml, YAMLWriter.render($0)), (.json, JSONWriter.render($0)),
        (.json, JSONWriter.renderCompact($0)),
      ]
    }
    let answers = try ConfigFixtures.readByPython(documents)
    try #require(answers.count == documents.count)
    for (index, answer) in answers.enumerated() {
      #expect(answer == ConfigFixtures.typed(values[index / 3]), "\(documents[index].1)")
    }
  }

  @Test(.enabled(if: ConfigFixtures.shared != nil)) func agreesWithPythonOnEveryRecordedConfig() throws {
    var documents: [(syntax: ConfigDocument.Syntax, text: String)] = []
    var expected: [String] = []
    for file in ConfigFixtures.goldenConfigs() {
      let syntax: ConfigDocument.Syntax = file.pathExtension == "json" ? .json : .yaml
      let bytes = try ConfigFixtures.bytes(file)
      documents.append((syntax, String(decoding: bytes, as: UTF8.self)))
      // Some recordings are of malformed configs.
      guard
        let value = try? syntax == .json
          ? JSONReader.parse(bytes, name: file.path) : YAMLReader.parse(bytes, name: file.path)
      else {
        expected.append("error")
        continue
      }
      documents.append((.yaml, YAMLWriter.render(value)))
      documents.append((.json, JSONWriter.render(value)))
      expected.append(contentsOf: repeatElement(ConfigFixtures.typed(value), count: 3))
    }
    try #require(expected.count > 1000)
    let answers = try ConfigFixtures.readByPython(documents)
    try #require(answers.count == expected.count)
    for (index, answer) in answers.enumerated() { #expect(answer == expected[index], "\(documents[index].text)") }
  }
}
