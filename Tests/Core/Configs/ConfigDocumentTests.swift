import Foundation
import OrderedCollections
import Testing

@testable import Core

@Suite struct ConfigDocumentTests {
  private func yaml(_ text: String) throws -> ConfigDocument {
    try ConfigDocument.parse(Array(text.utf8), name: "params.yaml", syntax: .yaml)
  }

  @Test(arguments: [
    ("a.json", "{\"a\": 1}", ConfigDocument.Syntax.json), ("a.yaml", "{\"a\": 1}", .yaml), ("a.YML", "a: 1", .yaml),
    ("a", " {\"a\": 1}", .json), ("a", "a: 1", .yaml), ("a.txt", "\u{FEFF}{\"a\": 1}", .json),
  ])
  func findsTheSyntax(name: String, text: String, syntax: ConfigDocument.Syntax) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: name).path
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    let document = try ConfigDocument.load(path: path)
    #expect(document.syntax == syntax)
    #expect(document.root == ["a": 1])
    let staged = try StagedFile(path: path)
    try document.save(to: staged)
    try staged.publish()
    #expect(try String(contentsOfFile: path, encoding: .utf8) == document.render())
    #expect(try ConfigDocument.load(path: path).root == ["a": 1])
  }

  @Test(arguments: ["[1]", "3", "null", ""]) func refusesWhatIsNoMapping(text: String) {
    for syntax in ConfigDocument.Syntax.allCases {
      #expect { try ConfigDocument.parse(Array(text.utf8), name: "x", syntax: syntax) } throws: {
        ($0 as? ConversionError)?.kind == .unreadableInput
      }
    }
  }

  private static let params = """
    # Settings of the run.
    model:
      # width
      hidden_size: 12   # must divide by heads
      heads: 3
      scale:            # unset
      list: [1, 2]
      blocks:
      - a: 1
        # inside
        b: 2

    # Optimizer below.
    optimizer: {lr: 1.0e-3}
    text: |
      one
      two
    last: é # done
    """

  @Test func returnsAnUnchangedDocumentAsItWas() throws {
    #expect(try yaml(Self.params).render() == Self.params)
  }

  @Test func keepsCommentsAroundChanges() throws {
    var document = try yaml(Self.params)
    document.root["model"] = [
      "hidden_size": 16, "num_heads": 3, "scale": 1e-5, "list": [1, 2, 3], "extra": ["x": ["y", "z"]],
      "blocks": [["a": 1, "b": 2]],
    ]
    document.root["text"] = nil
    document.root["last"] = "yes"
    document.root["new"] = true
    #expect(
      document.render() == """
        # Settings of the run.
        model:
          # width
          hidden_size: 16   # must divide by heads
          num_heads: 3
          scale: 1.0e-05            # unset
          list:
          - 1
          - 2
          - 3
          extra:
              x:
              - y
              - z
          blocks:
          - a: 1
            # inside
            b: 2

        # Optimizer below.
        optimizer: {lr: 1.0e-3}
        last: 'yes' # done
        new: true

        """)
  }

  /// A format that is named says how its configs are written; otherwise the name of the file does.
  @Test func readsConfigsAsTheirFormatSays() throws {
    let model = try SmallGPT2()
    let params = model.folder.file("params.json")
    try "model:\n  hidden_size: 1_2\n".write(toFile: params, atomically: false, encoding: .utf8)
    func convert(_ config: String, from source: String, to target: String) throws -> ConfigObject {
      let request = ConversionRequest(
        command: .convertConfig, model: "t5", sourceFormat: source, targetFormat: target, config: config,
        outputDirectory: model.folder.file("out"))
      return try ConfigDocument.load(path: try Conversion.run(request, monitor: UnattendedMonitor()).config).root
    }
    #expect(try convert(params, from: "cs-1.7", to: "cs-1.8") == ["model": ["hidden_size": 12]])
    #expect(conversionError { try convert(params, from: "auto", to: "cs-1.8") }?.kind == .unreadableInput)
    let config = model.folder.file("config.yaml")
    try #"{"layer_norm_epsilon": 1e-5}"#.write(toFile: config, atomically: false, encoding: .utf8)
    guard case .object(let section)? = try convert(config, from: "hf", to: "cs-1.8")["model"] else {
      Issue.record("no section")
      return
    }
    #expect(section["layer_norm_epsilon"] == 1e-5)
  }

  @Test func tellsKeysThatOccurTwice() throws {
    var document = try yaml("model:\n  a: 1 # old\n  a: 2 # new\n  b: 3\n")
    #expect(document.root == ["model": ["a": 2, "b": 3]])
    #expect(document.warnings.map(\.subject) == [.config("a")])
    document.root["model"] = ["a": 4, "b": 3]
    #expect(try yaml(document.render()).root == ["model": ["a": 4, "b": 3]])
    document.root["model"] = ["c": 2, "b": 3]
    #expect(try yaml(document.render()).root == ["model": ["c": 2, "b": 3]])
  }

  @Test func writesAfreshWhereTheTextCannotBeEdited() throws {
    var document = try yaml("base: &b {x: 1}\nuse: *b\n# note\n")
    document.root["base"] = nil
    #expect(document.render() == "use:\n    x: 1\n")
    document = try yaml("{a: 1, b: 2} # flow\n")
    document.root["a"] = 3
    #expect(document.render() == "a: 3\nb: 2\n")
    document = try yaml("a: 1\n")
    document.root = [:]
    #expect(document.render() == "{}\n")
  }

  @Test func readsBackWhateverChangesWereMade() throws {
    var random = SplitMix(seed: 21)
    for _ in 0..<1_500 {
      var source = YAMLWriter.render(ConfigSamples.value(depth: 3, &random))
      source = source.split(separator: "\n").map { $0 + (Bool.random(using: &random) ? "  # c" : "") }.joined(
        separator: "\n# n\n")
      guard var document = try? yaml(source) else { continue }
      document.root = ConfigSamples.changed(document.root, depth: 2, &random)
      let read = try yaml(document.render())
      #expect(
        ConfigFixtures.typed(ConfigSamples.sorted(.object(read.root)))
          == ConfigFixtures.typed(ConfigSamples.sorted(.object(document.root))))
    }
  }

  @Test func editsBesideALineOfManyValues() throws {
    let line = (0..<30_000).map { "{k: \($0)}" }.joined(separator: ", ")
    var document = try yaml("a: [\(line)] # long\nb: 1 # short\n")
    document.root["b"] = 2
    let start = ContinuousClock.now
    #expect(document.render() == "a: [\(line)] # long\nb: 2 # short\n")
    #expect(ContinuousClock.now - start < .seconds(60))
  }
}
