import OrderedCollections
import Testing

@testable import Core

@Suite struct ConfigPathTests {
  static let config: ConfigObject = [
    "a": ["b": 1, "c.d": 2], "list": [["x": 1, "y": [7, 8]], ["x": 2]], "e": 3, "f.g": 4, "none": [],
  ]

  @Test(
    arguments: [
      ("a.b", 1), ("a.c.d", 2), ("e", 3), ("f.g", 4), ("list.0.x", 1), ("list.1.x", 2), ("list.0.y.1", 8),
      ("list.1", ["x": 2]), ("list.2", nil), ("list.2.x", nil), ("list.x", nil), ("list.-1", nil), ("e.0", nil),
      ("none.0", nil), ("list.0.y.x", nil), ("list.99999999999999999999", nil),
    ] as [(String, ConfigValue?)])
  func finds(_ path: String, value: ConfigValue?) { #expect(Self.config.value(at: path) == value) }

  @Test(
    arguments: [
      ("a.b", ["a": ["b": 9, "c.d": 2]]), ("list.1.x", ["list": [["x": 1, "y": [7, 8]], ["x": 9]]]),
      ("list.2.x", ["list": [["x": 1, "y": [7, 8]], ["x": 2], ["x": 9]]]), ("none.0", ["none": [9]]),
      ("new.0.k.0.z", ["new": [["k": [["z": 9]]]]]), ("e.0", ["e": [9]]), ("e.x", ["e": ["x": 9]]),
      // A position that nothing leads up to is a key.
      ("new.1.k", ["new": ["1": ["k": 9]]]), ("a.0", ["a": ["b": 1, "c.d": 2, "0": 9]]),
    ] as [(String, ConfigObject)])
  func sets(_ path: String, changed: ConfigObject) {
    var config = Self.config
    config.setValue(9, at: path)
    #expect(config == Self.config.merging(changed) { _, new in new })
    #expect(config.value(at: path) == 9)
  }

  @Test func removesFromLists() {
    var config = Self.config
    #expect(config.removeValue(at: "list.0.y.0") == 7)
    #expect(config.removeValue(at: "list.1") == ["x": 2])
    #expect(config.removeValue(at: "list.5.x") == nil)
    #expect(config["list"] == [["x": 1, "y": [8]]])
  }
}
