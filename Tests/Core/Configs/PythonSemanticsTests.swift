import OrderedCollections
import Testing

@testable import Core

@Suite struct PythonSemanticsTests {
  // Every expectation was printed by Python 3.11.
  @Test(
    arguments: [
      (nil, "None"), (true, "True"), (1, "1"), (1.0, "1.0"), (1e-5, "1e-05"), ("it's", "it's"),
      (["n_heads": 2], "{'n_heads': 2}"), ([1, 2.5, "a", nil], "[1, 2.5, 'a', None]"), ([:], "{}"), ([], "[]"),
      (["it's"], #"["it's"]"#), (["a\"'"], #"['a"\'']"#),
      (["\n\t\u{1}\\é\u{200B}\u{1F600}\u{A0}"], #"['\n\t\x01\\é\u200b😀\xa0']"#),
      (["\u{E0001}"], #"['\U000e0001']"#), (.double(.infinity), "inf"),
    ] as [(ConfigValue, String)])
  func describesValuesAsStrDoes(value: ConfigValue, expected: String) {
    #expect(value.pythonDescription == expected)
  }

  @Test(
    arguments: [
      (1, 1.0, true), (1, true, true), (0.0, false, true), (1, "1", false), (nil, false, false),
      ([1, 2], [1.0, 2.0], true),
      ([1], [1, 2], false), (["a": 1, "b": 2], ["b": 2.0, "a": true], true), (["a": 1], ["b": 1], false),
      (.double(.nan), .double(.nan), false), (9_007_199_254_740_993, 9_007_199_254_740_992.0, false),
      ("é", "e\u{301}", false),
      (.int(.max), 9_223_372_036_854_775_808.0, false),
    ] as [(ConfigValue, ConfigValue, Bool)])
  func comparesAsPythonDoes(left: ConfigValue, right: ConfigValue, expected: Bool) {
    #expect(left.isEqualInPython(right) == expected)
    #expect(right.isEqualInPython(left) == expected)
  }

  @Test(
    arguments: [
      (nil, false), (false, false), (0, false), (0.0, false), (-0.0, false), ("", false), ([], false), ([:], false),
      (true, true), (2, true), (.double(.nan), true), ("0", true), ([nil], true), (["a": nil], true),
    ] as [(ConfigValue, Bool)])
  func decidesTruthAsPythonDoes(value: ConfigValue, expected: Bool) {
    #expect(value.isTruthyInPython == expected)
  }
}
