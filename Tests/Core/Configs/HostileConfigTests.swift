import Foundation
import OrderedCollections
import Testing

@testable import Core

@Suite struct HostileConfigTests {
  /// The files of the hostile set that are readable configs, strange as they are.
  private static let readable: Set<String> = [
    "json-bom.json", "json-duplicate-keys.json", "json-exponent.json", "json-nan.json", "config-negative-dims.json",
    "yaml-duplicate-keys.yaml",
  ]
  private static let hostile: Set<String> = [
    "json-deep.json", "json-deep-objects.json", "json-huge-number.json", "yaml-deep.yaml", "yaml-deep-block.yaml",
    "yaml-billion-laughs.yaml", "yaml-merge-bomb.yaml", "yaml-recursive.yaml", "yaml-python-name.yaml",
    "yaml-python-object.yaml",
  ]

  @Test(.enabled(if: ConfigFixtures.shared != nil)) func answersEveryHostileConfigAsDocumented() throws {
    let folder = try #require(ConfigFixtures.shared).appending(path: "formats/hostile")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { name in
      name != "hostile.json" && ["json-", "yaml-", "config-"].contains { name.hasPrefix($0) }
    }
    try #require(files.count >= 22)
    for name in files {
      let path = folder.appending(path: name).path
      if Self.readable.contains(name) {
        #expect(throws: Never.self, "\(name)") { try ConfigDocument.load(path: path).render() }
        continue
      }
      let expected: ErrorKind = Self.hostile.contains(name) ? .hostileInput : .unreadableInput
      #expect { try ConfigDocument.load(path: path) } throws: { error in
        guard let error = error as? ConversionError else { return false }
        return error.kind == expected && error.message.contains(name)
      }
    }
  }

  @Test func survivesMutatedDocuments() {
    let seeds = [
      "{\"a\": [1, -2.5e-3, true, null, \"x\\u00e9\\ud83d\\ude00\"], \"b\": {\"c\": {}, \"d\": [[]]}}",
      "model:\n    a: &x {p: 1, q: [2, *y]}\n    b: *x\n    <<: [*x, {z: 0x1F}]\ntrain: # note\n- 'it''s'\n- \"\\x41\\\n  b\"\n- !!float 1e-6\n",
      "a: &y\n  - |\n    text\n  - >-\n    folded\n    text\n? k\n: v\n1: 2\n~: yes\n--- \n%YAML 1.1\n",
    ].map { Array($0.utf8) }
    let pieces = [
      "{", "}", "[", "]", ":", ",", "&x ", "*x", "\"", "'", "\n", "  ", "- ", "? ", "!!int ", "<<: ", "\u{FEFF}", "|",
      "#", "\0", "é",
    ]
    .map { Array($0.utf8) }
    var random = SplitMix(seed: 42)
    let clock = ContinuousClock()
    let end = clock.now + .seconds(5)
    var parsed = 0
    for round in 0..<60_000 where clock.now < end {
      var bytes = seeds[round % seeds.count]
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
        case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 2 where place < bytes.count: bytes.remove(at: place)
        default: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 0...9, using: &random)))
        }
      }
      parsed += checkRoundTrip(bytes) { bytes throws(ConversionError) in try JSONReader.parse(bytes, name: "x") }
      parsed += checkRoundTrip(bytes) { bytes throws(ConversionError) in try YAMLReader.parse(bytes, name: "x") }
      if var document = try? ConfigDocument.parse(bytes, name: "x", syntax: .yaml) {
        document.root = ConfigSamples.changed(document.root, depth: 2, &random)
        let text = document.render()
        let read = try? ConfigDocument.parse(Array(text.utf8), name: "x", syntax: .yaml).root
        let expected = ConfigFixtures.typed(ConfigSamples.sorted(.object(document.root)))
        #expect(
          read.map { ConfigFixtures.typed(ConfigSamples.sorted(.object($0))) } == expected, "\(bytes) became \(text)")
      }
    }
    #expect(parsed > 100)
  }

  /// Reads, and where that succeeds writes YAML and reads again. The typed throw says that nothing else comes out.
  private func checkRoundTrip(_ bytes: [UInt8], _ parse: ([UInt8]) throws(ConversionError) -> ConfigValue) -> Int {
    let value: ConfigValue
    do { value = try parse(bytes) } catch { return 0 }
    let text = YAMLWriter.render(value)
    let again = try? YAMLReader.parse(Array(text.utf8), name: "x")
    #expect(again.map(ConfigFixtures.typed) == ConfigFixtures.typed(value), "\(bytes) became \(text)")
    return 1
  }
}
