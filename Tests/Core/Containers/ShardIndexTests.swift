import Foundation
import OrderedCollections
import Testing

@testable import Core

@Suite struct ShardIndexTests {
  private func parse(_ text: String, limits: Limits = .standard) throws -> ShardIndex {
    try ShardIndex.parse(Array(text.utf8), name: "m.index.json", limits: limits)
  }

  @Test func readsTensorsAndShardsInOrder() throws {
    let index = try parse(
      #"{"metadata": {"total_size": 8}, "weight_map": {"b": "2.bin", "a": "1.bin", "c": "2.bin"}}"#)
    #expect(index.weightMap == ["b": "2.bin", "a": "1.bin", "c": "2.bin"])
    #expect(index.shards == ["2.bin", "1.bin"])
    #expect(index.path(ofShard: "1.bin", indexPath: "/data/m.index.json") == "/data/1.bin")
    #expect(index.path(ofShard: "1.bin", indexPath: "m.index.json") == "1.bin")
  }

  @Test(arguments: [
    ("[]", "no shard index"), ("{}", "no weight_map"), (#"{"weight_map": []}"#, "is a list"),
    (#"{"weight_map": {"w": 1}}"#, "the shard of w is a number"),
    (#"{"weight_map": {"w": "a", "w": "b"}}"#, "'w' occurs twice"),
  ])
  func refuses(text: String, message: String) {
    #expect { try parse(text) } throws: { error in
      guard let error = error as? ConversionError else { return false }
      return error.kind == .unreadableInput && error.message.hasPrefix("m.index.json")
        && error.message.contains(message)
    }
  }

  @Test(arguments: [
    ("", "no name"), ("/etc/passwd", "absolute"), ("../x", "leaves the folder"), ("a/../../x", "leaves the folder"),
    ("sub/x", "leaves the folder"), ("..", "leaves the folder"), (".", "leaves the folder"),
    ("a\\\\b", "leaves the folder"),
    ("https://example.invalid/x", "URL"), ("x\\u0000.png", "control character"), ("x\\n", "control character"),
    ("m.safetensors.index.json", "an index itself"),
  ])
  func refusesNamesThatAreNoFileBesideTheIndex(shard: String, message: String) {
    #expect { try parse("{\"weight_map\": {\"w\": \"\(shard)\"}}") } throws: { error in
      guard let error = error as? ConversionError else { return false }
      return error.kind == .hostileInput && error.message.contains(message) && error.message.contains(" of w ")
    }
  }

  @Test func holdsToItsLimits() throws {
    let text = #"{"weight_map": {"a": "x", "b": "x", "c": "x"}}"#
    var limits = Limits.standard
    limits.tensors = 2
    #expect { try parse(text, limits: limits) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
    limits = .standard
    limits.indexBytes = 20
    #expect { try parse(text, limits: limits) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
    // The limits of configs do not apply to an index.
    limits = .standard
    limits.configBytes = 4
    #expect(try parse(text, limits: limits).weightMap.count == 3)
  }

  @Test func readsManyTensorsInLinearTime() throws {
    let lines = (0..<60_000).map { "\"model.layers.\($0).mlp.weight\": \"model-\($0 % 300).safetensors\"" }
    let text = "{\"weight_map\": {\(lines.joined(separator: ",\n"))}}"
    let start = ContinuousClock.now
    let index = try parse(text)
    #expect(index.weightMap.count == 60_000)
    #expect(index.shards.count == 300)
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test(
    .enabled(if: ConfigFixtures.shared != nil),
    arguments: [
      ("absolute", .hostileInput), ("deep", .hostileInput), ("duplicate", .unreadableInput), ("good", nil),
      ("map-not-object", .unreadableInput), ("missing-key", nil), ("missing-shard", nil), ("no-map", .unreadableInput),
      ("nul", .hostileInput), ("parent", .hostileInput), ("self", .hostileInput), ("symlink", nil),
      ("url", .hostileInput),
    ] as [(String, ErrorKind?)])
  func answersEveryHostileIndex(name: String, expected: ErrorKind?) throws {
    let folder = try #require(ConfigFixtures.shared).appending(path: "formats/hostile/index")
    let path = folder.appending(path: "\(name).safetensors.index.json").path
    guard let expected else {
      #expect(try !ShardIndex.load(path: path).shards.isEmpty)
      return
    }
    #expect { try ShardIndex.load(path: path) } throws: { ($0 as? ConversionError)?.kind == expected }
  }

  @Test(
    .enabled(if: ConfigFixtures.shared != nil),
    arguments: [
      "sharded-bin/pytorch_model.bin", "sharded-safetensors/model.safetensors",
    ])
  func readsTheSamples(name: String) throws {
    let path = try #require(ConfigFixtures.shared).appending(path: "formats/samples/\(name).index.json").path
    let index = try ShardIndex.load(path: path)
    #expect(Array(index.weightMap.keys) == ["a", "b", "c", "z", "d"])
    for shard in index.shards {
      #expect(FileManager.default.fileExists(atPath: index.path(ofShard: shard, indexPath: path)))
    }
  }
}
