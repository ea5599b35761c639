import OrderedCollections
import Testing

@testable import Core

@Suite struct JSONReaderTests {
  private func parse(_ text: String, limits: Limits = .standard) throws -> ConfigValue {
    try JSONReader.parse(Array(text.utf8), name: "config.json", limits: limits)
  }

  @Test(
    arguments: [
      ("null", .null), (" true ", true), ("false\n", false), ("0", 0), ("-0", 0), ("-12", -12), ("\"\"", ""),
      ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
      ("9223372036854775808", .number(ConfigNumber(.bigInt("9223372036854775808"), text: nil))),
      ("1.0", 1.0), ("1e5", 1e5), ("1E+2", 100.0), ("-1.5e-3", -0.0015), ("1e999999999", .double(.infinity)),
      ("Infinity", .double(.infinity)), ("-Infinity", .double(-.infinity)), ("[]", .array([])), ("{}", .object([:])),
      ("[1, [2.5, null]]", [1, [2.5, nil]]), ("{\"a\": {\"b\": []}}", ["a": ["b": []]]),
      ("\"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"", "é😀\n/\""), ("\"é😀\u{7F}\"", "é😀\u{7F}"), ("\"\\u0000\"", "\u{0}"),
      ("\u{FEFF}[1]", [1]),
    ] as [(String, ConfigValue)])
  func reads(text: String, expected: ConfigValue) throws {
    #expect(try parse(text) == expected)
  }

  @Test func readsNaN() throws {
    guard case .number(let number) = try parse("NaN") else {
      Issue.record("no number")
      return
    }
    #expect(number.double.isNaN)
  }

  @Test func keepsTheOrderOfKeysAndTheTextOfNumbers() throws {
    guard case .object(let object) = try parse(#"{"b": 1.50, "a": 1E-5, "c": 10}"#) else {
      Issue.record("no object")
      return
    }
    #expect(Array(object.keys) == ["b", "a", "c"])
    let texts = object.values.map { value -> String? in
      guard case .number(let number) = value else { return nil }
      return number.text
    }
    #expect(texts == ["1.50", "1E-5", "10"])
  }

  @Test(arguments: [
    ("", "line 1 column 1: the document is empty"),
    ("{\"a\": 1,\n \"b\" 2}", "line 2 column 6: a colon is expected"),
    ("[1, 2", "line 1 column 6: the document ends"),
    ("[1 2]", "line 1 column 4: a comma or ] is expected"),
    ("[1,]", "line 1 column 4: no comma is allowed before ]"),
    ("{\"a\": 1, \"a\": 2}", "line 1 column 10: the key 'a' occurs twice"),
    ("{a: 1}", "line 1 column 2: a key in double quotes"),
    ("'a'", "line 1 column 1: a value is expected here"),
    ("True", "line 1 column 1: a value is expected here"),
    ("01", "line 1 column 1: a number may not start with a zero"),
    ("-", "line 1 column 2: a digit is expected"), ("1.", "a digit is expected"), (".5", "a value is expected"),
    ("1e", "a digit is expected"), ("+1", "a value is expected"), ("0x10", "more text after the end"),
    ("[1] 2", "line 1 column 5: more text after the end"), ("nul", "a value is expected"),
    ("\"a", "line 1 column 1: the string that starts here does not end"), ("\"\\", "an unknown escape"),
    ("\"a\nb\"", "line 1 column 3: a control character"), ("\"\\x\"", "line 1 column 2: an unknown escape"),
    ("\"\\u12g4\"", "four hexadecimal digits"), ("\"\\ud800\"", "line 1 column 2: a surrogate escape"),
    ("\"\\ud800\\u0041\"", "a surrogate escape"), ("\"\\udc00\"", "a surrogate escape"),
    ("// note\n1", "a value is expected"), ("{\"\\ufdd0a\": 1}", "reserved code point"),
  ])
  func refuses(text: String, message: String) {
    #expect { try parse(text) } throws: { error in
      guard let error = error as? ConversionError else { return false }
      return error.kind == .unreadableInput && error.message.hasPrefix("config.json, line ")
        && error.message.contains(message)
    }
  }

  @Test func takesTheLastValueOfAKeyWhereTheCallerAllowsIt() throws {
    var warnings: [Diagnostic] = []
    let text = #"{"a": 1, "b": {"x": 1, "x": 2},"# + "\n" + #""a": 3}"#
    let value = try JSONReader.parse(Array(text.utf8), name: "config.json", warnings: &warnings)
    #expect(value == ["a": 3, "b": ["x": 2]])
    #expect(
      warnings.map(\.message) == [
        "config.json, line 1 column 24: the key 'x' occurs twice in one mapping; the last value is used",
        "config.json, line 2 column 1: the key 'a' occurs twice in one mapping; the last value is used",
      ])
  }

  @Test func namesOneHundredRepeatedKeysOnly() throws {
    var warnings: [Diagnostic] = []
    let text = "{" + (0..<60_000).map { "\"k\": \($0)" }.joined(separator: ",") + "}"
    #expect(try JSONReader.parse(Array(text.utf8), name: "config.json", warnings: &warnings) == ["k": 59_999])
    #expect(warnings.count == 101)
    #expect(warnings.last?.message == "config.json: 59899 more keys occur twice; the last value is used")
  }

  @Test func refusesInvalidUTF8() {
    for bytes in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80]] as [[UInt8]] {
      #expect(throws: ConversionError.self) { try JSONReader.parse([0x22] + bytes + [0x22], name: "x") }
      #expect(throws: ConversionError.self) { try JSONReader.parse([0x22, 0x5C, 0x6E] + bytes + [0x22], name: "x") }
    }
  }

  @Test func holdsToEveryLimit() throws {
    var limits = Limits.standard
    limits.nesting = 3
    limits.configNodes = 5
    limits.numberDigits = 4
    limits.configBytes = 40
    #expect(try parse("[[[1]]]", limits: limits) == [[[1]]])
    #expect(try parse("[1, 2, 3, 4]", limits: limits) == [1, 2, 3, 4])
    let long = "\"" + String(repeating: "a", count: 39) + "\""
    for text in ["[[[[1]]]]", "[1, 2, 3, 4, 5]", "12345", "1.2345", long] {
      #expect { try parse(text, limits: limits) } throws: { ($0 as? ConversionError)?.kind == .hostileInput }
    }
  }
}
