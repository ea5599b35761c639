import OrderedCollections
import Testing

@testable import Core

@Suite struct YAMLReaderTests {
  private func parse(_ text: String, limits: Limits = .standard) throws -> ConfigValue {
    try YAMLReader.parse(Array(text.utf8), name: "params.yaml", limits: limits)
  }

  // Every expectation is what PyYAML 6's safe_load answers; dates keep their text.
  @Test(
    arguments: [
      ("yes", true), ("Off", false), ("TRUE", true), ("tRue", "tRue"), ("y", "y"), ("n", "n"),
      ("~", nil), ("", nil), ("Null", nil), ("nULL", "nULL"), ("none", "none"),
      ("12", 12), ("+12", 12), ("-12", -12), ("1_000", 1000), ("0", 0), ("-0", 0), ("00", 0), ("017", 15),
      ("018", "018"),
      ("0o17", "0o17"), ("0x1F", 31), ("-0x_1f", -31), ("0XFF", "0XFF"), ("0b101", 5), ("0b2", "0b2"), ("_1", "_1"),
      ("1:30", 90), ("-1:30:15", -5415), ("1:60", "1:60"), ("1:5:9", 3909), ("01:30", "01:30"), ("190:20:30", 685_230),
      ("9223372036854775808", .number(ConfigNumber(.bigInt("9223372036854775808"), text: nil))),
      ("-0xFFFFFFFFFFFFFFFFFFFF", .number(ConfigNumber(.bigInt("-1208925819614629174706175"), text: nil))),
      ("1.0", 1.0), ("1.", 1.0), (".5", 0.5), ("-.5", "-.5"), ("1e-6", "1e-6"), ("1.e-6", 1e-6), ("1.0e-06", 1e-6),
      ("1.5e3", "1.5e3"), ("1.5e+3", 1500.0), ("1_0.5_0", 10.5), ("1.5E-3", 0.0015), ("._5", "._5"), ("1._5", 1.5),
      (".inf", .double(.infinity)), ("-.INF", .double(-.infinity)), ("+.Inf", .double(.infinity)), (".iNf", ".iNf"),
      ("inf", "inf"), ("nan", "nan"), ("-.nan", "-.nan"), ("1:30.5", 90.5), ("-1:0:0.25", -3600.25), (".", "."),
      ("1.0e+400", .double(.infinity)), ("1.2.3", "1.2.3"), ("+", "+"), ("-", .array([nil])),
      ("2024-01-31", .timestamp("2024-01-31")), ("2024-1-31 1:02:03.5 +01", .timestamp("2024-1-31 1:02:03.5 +01")),
      ("=", "="), ("<<", "<<"),
      ("'12'", "12"), ("\"yes\"", "yes"), ("'it''s'", "it's"), ("\"a\\n\\u00e9\\x41\"", "a\néA"), ("a b", "a b"),
      ("|\n a\n b\n", "a\nb\n"), (">-\n a\n b\n", "a b"), ("[1, [], {}]", .array([1, .array([]), .object([:])])),
      ("!!str 12", "12"), ("!!float 1e-6", 1e-6), ("!!float 3", 3.0), ("!!int '7'", 7), ("!!bool 'on'", true),
      ("!!null 'x'", nil), ("! 12", "12"), ("!!seq [1]", .array([1])),
      ("!!timestamp 2024-01-31", .timestamp("2024-01-31")),
      ("!!float .inf", .double(.infinity)), ("\u{FEFF}a", "a"), ("--- a\n...\n", "a"), ("%YAML 1.1\n--- 1\n", 1),
    ] as [(String, ConfigValue)])
  func reads(text: String, expected: ConfigValue) throws {
    #expect(try parse(text) == expected)
  }

  /// PyYAML refuses all of these: no calendar has the day, or no clock the time.
  @Test(
    arguments: [
      "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-00", "0000-01-01",
      "2024-01-31t24:00:00Z", "2024-01-31 10:60:00", "2024-01-31 10:00:60", "2024-01-31 10:00:00 +24",
      "2024-01-31 10:00:00 -23:60",
    ])
  func readsImpossibleMomentsAsStrings(text: String) throws {
    #expect(try parse(text) == .string(text))
  }

  @Test(
    arguments: [
      "2024-02-29", "2000-02-29", "9999-12-31", "2024-01-31 23:59:59.", "2024-1-1T0:00:00.1234567-23:59",
      "2024-01-31\t1:00:00   Z",
    ])
  func readsMoments(text: String) throws {
    #expect(try parse(text) == .timestamp(text))
    #expect(try parse("'\(text)'") == .string(text))
    #expect(try parse("? \(text)\n: 1") == .object([text: 1]))
  }

  @Test func readsMappingsInOrderWithAliasesAndMerges() throws {
    let text = """
      base: &base {x: 1, y: 2}
      other: &other
        y: 3
        z: 4
      merged:
        w: 0
        <<: *base
        x: 9
      both: {<<: [*base, *other], v: 5}
      list:
      - *base
      - a: 1  # a comment
        b: 2
      """
    #expect(
      try parse(text) == [
        "base": ["x": 1, "y": 2], "other": ["y": 3, "z": 4],
        "merged": ["x": 9, "y": 2, "w": 0],
        "both": ["y": 2, "z": 4, "x": 1, "v": 5],
        "list": [["x": 1, "y": 2], ["a": 1, "b": 2]],
      ])
  }

  @Test func keepsKeysThatAreNoStringsApart() throws {
    guard case .object(let object) = try parse("0: a\n'0': b\nyes: c\n~: d\n1.50: e\n017: f\n") else {
      Issue.record("no mapping")
      return
    }
    #expect(object.keys.map(ConfigKey.text) == ["0", "0", "True", "None", "1.5", "15"])
    #expect(
      object.keys.map(ConfigKey.init) == [
        .scalar(0), .string("0"), .scalar(true), .scalar(nil), .scalar(1.5), .scalar(15),
      ])
    #expect(YAMLWriter.render(.object(object)) == "0: a\n'0': b\ntrue: c\nnull: d\n1.5: e\n15: f\n")
    #expect(
      JSONWriter.renderCompact(.object(object))
        == #"{"0":"a","0":"b","true":"c","null":"d","1.5":"e","15":"f"}"#)
  }

  @Test(arguments: [
    ("a: 1\n---\nb: 2\n", "line 2 column 1: a second document"),
    ("a: *b\n", "line 1 column 4: no anchor &b"),
    ("a:\n\tb: 1\n", "line 2"), ("a: [1, 2\n", "line 2 column 1"), ("a: 'x\n", "line"), ("a: \u{1}\n", "byte 3"),
    ("<<: 1\n", "<< takes a mapping"), ("<<: [1]\n", "<< takes mappings only"), ("[a]: 1\n", "as a key"),
    ("a: !!binary aGk=\n", "has no place here"), ("a: !!set {b}\n", "has no place here"),
    ("a: !!int x\n", "not of the type"), ("a: !!float 0x1p3\n", "not of the type"),
    ("a: !!bool 1\n", "not of the type"),
    ("a: 0x_\n", "not of the type"), ("a: !!seq {}\n", "has no place here"),
    ("\"\\uFDD0a\": 1\n", "reserved code point"),
    ("a: b: c\n", "line 1 column 5"),
  ])
  func refuses(text: String, message: String) {
    #expect { try parse(text) } throws: { error in
      guard let error = error as? ConversionError else { return false }
      return error.kind == .unreadableInput && error.message.hasPrefix("params.yaml, ")
        && error.message.contains(message)
    }
  }

  @Test func skipsAByteOrderMark() throws {
    #expect(try parse("\u{FEFF}a: 1\nb: 2\n") == ["a": 1, "b": 2])
    #expect(try parse("\u{FEFF}") == .null)
  }

  @Test func takesTheLastValueOfAKeyInItsFirstPlace() throws {
    var warnings: [Diagnostic] = []
    let text = "a: 1\nb:\n  x: 1\n  x: 2\na: 3\n"
    let value = try YAMLReader.parse(Array(text.utf8), name: "params.yaml", warnings: &warnings)
    #expect(value == ["a": 3, "b": ["x": 2]])
    #expect(
      warnings.map(\.message) == [
        "params.yaml, line 4 column 3: the key 'x' occurs twice in one mapping; the last value is used",
        "params.yaml, line 5 column 1: the key 'a' occurs twice in one mapping; the last value is used",
      ])
    #expect(warnings.map(\.subject) == [.config("x"), .config("a")])
  }

  @Test(arguments: [
    "a: !!python/object/apply:os.system ['true']", "a: !!python/name:os.system ''", "a: !!python/tuple [1]",
    "a: !mine 1", "a: !<x> 1", "!mine {a: 1}", "a: &a [*a]", "&a {b: *a}",
  ])
  func refusesAsHostile(text: String) {
    #expect { try parse(text) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
  }

  @Test func holdsToEveryLimit() throws {
    var limits = Limits.standard
    limits.nesting = 3
    limits.configNodes = 9
    limits.numberDigits = 4
    limits.configBytes = 60
    #expect(try parse("[[[1]]]", limits: limits) == [[[1]]])
    #expect(try parse("a: &a [1, 2]\nb: *a", limits: limits) == ["a": [1, 2], "b": [1, 2]])
    let refused = [
      "[[[[1]]]]", "- &a [1]\n- &b [*a]\n- [*b]", "a: &a [1, 2]\nb: [*a]", "a: 12345", "a: 0.1234",
      String(repeating: "a", count: 61),
    ]
    for text in refused {
      #expect { try parse(text, limits: limits) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
    }
  }

  @Test func survivesAChainOfAliasesDeeperThanAnyStack() {
    let text = "a0: &a0 []\n" + (1...100_000).map { "a\($0): &a\($0) [*a\($0 - 1)]\n" }.joined()
    #expect { try parse(text) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
  }

  @Test(arguments: ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"])
  func refusesDirectivesWithoutEnd(lineBreak: String) {
    let text = (0..<200_000).map { "%TAG !a\($0)! b\(lineBreak)" }.joined() + "--- 1\n"
    #expect { try parse(text) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
  }
}
