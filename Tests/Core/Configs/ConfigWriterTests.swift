import OrderedCollections
import Testing

@testable import Core

@Suite struct ConfigWriterTests {
  private let sample: ConfigValue = [
    "model": [
      "hidden_size": 12, "epsilon": 1e-5, "dropout": 0.0, "bias": true, "kind": nil, "name": "gelu_new", "on": "on",
    ],
    "buckets": [5, 9, 14], "fit": [:], "empty": [],
    "nested": [["a": 1, "b": ["c": 2]], [1, [2, 3]], []], "note": "two\nlines",
  ]

  @Test func writesYAMLAsPyYAMLLaysItOut() {
    #expect(
      YAMLWriter.render(sample) == """
        model:
            hidden_size: 12
            epsilon: 1.0e-05
            dropout: 0.0
            bias: true
            kind: null
            name: gelu_new
            'on': 'on'
        buckets:
        - 5
        - 9
        - 14
        fit: {}
        empty: []
        nested:
        -   a: 1
            b:
                c: 2
        -   - 1
            -   - 2
                - 3
        - []
        note: "two\\nlines"

        """)
  }

  @Test func writesJSONAsTheJSONModuleLaysItOut() {
    let value: ConfigValue = ["a": [1, 2.5, [:], []], "b": ["é\u{1}\"\\/": nil], "c": .double(.nan), "d": 1e-5]
    #expect(
      JSONWriter.render(value) == #"""
        {
            "a": [
                1,
                2.5,
                {},
                []
            ],
            "b": {
                "é\u0001\"\\/": null
            },
            "c": NaN,
            "d": 1e-05
        }

        """#)
    #expect(JSONWriter.renderCompact(value) == #"{"a":[1,2.5,{},[]],"b":{"é\u0001\"\\/":null},"c":NaN,"d":1e-05}"#)
  }

  // The text of the source survives where the target syntax reads the same number from it.
  @Test(arguments: [
    ("1E-5", "1.0e-05", "1E-5"), ("0.00001", "0.00001", "0.00001"), ("1e-05", "1.0e-05", "1e-05"),
    ("1.50", "1.50", "1.50"), ("10", "10", "10"), ("-0", "-0", "-0"), ("1e999", ".inf", "1e999"),
    ("1.5e+3", "1.5e+3", "1.5e+3"),
    ("123456789012345678901234567890", "123456789012345678901234567890", "123456789012345678901234567890"),
  ])
  func keepsNumberTextFromJSON(source: String, yaml: String, json: String) throws {
    let value = try JSONReader.parse(Array(source.utf8), name: "x")
    #expect(YAMLWriter.render(value) == yaml + "\n")
    #expect(JSONWriter.render(value) == json + "\n")
  }

  @Test(arguments: [
    ("1_000", "1_000", "1000"), ("0x1F", "0x1F", "31"), ("017", "017", "15"), ("1:30", "1:30", "90"), ("+5", "+5", "5"),
    ("1.0e-06", "1.0e-06", "1e-06"), ("1.e-6", "1.e-6", "1e-06"), (".5", ".5", "0.5"), ("1.50", "1.50", "1.50"),
    (".inf", ".inf", "Infinity"), (".NaN", ".NaN", "NaN"), ("!!float 1e-6", "1.0e-06", "1e-06"), ("!!int 07", "7", "7"),
  ])
  func keepsNumberTextFromYAML(source: String, yaml: String, json: String) throws {
    let value = try YAMLReader.parse(Array(source.utf8), name: "x")
    #expect(YAMLWriter.render(value) == yaml + "\n")
    #expect(JSONWriter.render(value) == json + "\n")
  }

  @Test(arguments: [
    ("plain", "plain"), ("two words", "two words"), ("", "''"), ("yes", "'yes'"), ("null", "'null'"), ("~", "'~'"),
    ("12", "'12'"), ("1e-6", "1e-6"), ("1.0", "'1.0'"), ("0x1F", "'0x1F'"), ("1:30", "'1:30'"), ("<<", "'<<'"),
    ("=", "'='"), ("2024-01-31", "'2024-01-31'"), (" a", "' a'"), ("a ", "'a '"), ("a: b", "'a: b'"), ("a:b", "a:b"),
    ("a:", "'a:'"), ("a #b", "'a #b'"), ("a#b", "a#b"), ("#a", "'#a'"), ("- a", "'- a'"), ("-a", "-a"), ("-", "'-'"),
    ("---", "'---'"), ("...", "'...'"), ("? a", "'? a'"), ("?a", "?a"), ("[a", "'[a'"), ("a]", "a]"), ("{a", "'{a'"),
    ("&a", "'&a'"), ("*a", "'*a'"), ("!a", "'!a'"), ("|", "'|'"), (">", "'>'"), ("'a", "'''a'"), ("it's", "it's"),
    ("\"a", "'\"a'"), ("%a", "'%a'"), ("@a", "'@a'"), ("`a", "'`a'"), ("a\tb", #""a\tb""#), ("a\r\nb", #""a\r\nb""#),
    ("é", "é"), ("😀", "😀"), ("\u{0}", #""\x00""#), ("\u{85}", #""\x85""#), ("\u{2028}", #""\u2028""#),
    ("\u{FEFF}", #""\uFEFF""#), ("a\\b", "a\\b"), ("a\\\n", #""a\\\n""#), ("a, b", "a, b"),
  ])
  func quotesStringsWherePyYAMLWould(text: String, expected: String) throws {
    #expect(YAMLWriter.render(.string(text)) == expected + "\n")
    #expect(try YAMLReader.parse(Array(expected.utf8), name: "x") == .string(text))
  }

  @Test func writesMomentsAsTheyWereRead() throws {
    let value: ConfigValue = ["at": .timestamp("2024-1-31 1:02:03"), "list": [.timestamp("2024-01-31")]]
    #expect(YAMLWriter.render(value) == "at: 2024-1-31 1:02:03\nlist:\n- 2024-01-31\n")
    #expect(JSONWriter.renderCompact(value) == #"{"at":"2024-1-31 1:02:03","list":["2024-01-31"]}"#)
  }

  @Test func writesLongKeysSoThatTheyCanBeRead() throws {
    let value: ConfigValue = ["outer": [[String(repeating: "k", count: 2000): ["a": 1], "b: c\n": [2]]]]
    let text = YAMLWriter.render(value)
    #expect(try YAMLReader.parse(Array(text.utf8), name: "x") == value)
  }

  @Test func readsBackWhatItWrote() throws {
    var random = SplitMix(seed: 11)
    for _ in 0..<3_000 {
      let value = ConfigSamples.value(depth: 3, &random)
      #expect(try JSONReader.parse(Array(JSONWriter.render(value).utf8), name: "x") == value)
      #expect(try JSONReader.parse(Array(JSONWriter.renderCompact(value).utf8), name: "x") == value)
      let yaml = YAMLWriter.render(value)
      #expect(try YAMLReader.parse(Array(yaml.utf8), name: "x") == value, "\(yaml)")
    }
  }

  /// Escapes stand between runs that are taken over as they are, also inside what Swift counts as one character.
  @Test(arguments: [
    ("", #""""#), ("plain", #""plain""#), ("\"", #""\"""#), ("a\r\nb", #""a\r\nb""#),
    ("\"\u{301}\\", #""\"\#u{301}\\""#),
    ("é👩‍👩‍👧\t\u{0}\u{1F}\u{7F}", #""é👩‍👩‍👧\t\u0000\u001f\#u{7F}""#), ("\u{8}\u{C}", #""\b\f""#),
  ])
  func quotesText(text: String, expected: String) {
    let written = JSONWriter.renderCompact(.string(text))
    #expect(written.utf8.elementsEqual(expected.utf8), "\(written)")
  }
}
