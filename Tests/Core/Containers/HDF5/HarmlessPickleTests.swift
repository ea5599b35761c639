import Testing

@testable import Core

/// Pickles in HDF5 checkpoints: plain values are read, everything else is refused by name.
struct HarmlessPickleTests {
  @Test func readsPlainValues() throws {
    // pickle.dumps({'a': [1, -2, 300, 70000, None, True], 'b': (1.5, 'x', b'y')}, protocol=2..4 opcodes by hand)
    var pickle: [UInt8] = [0x80, 4, UInt8(ascii: "}"), 0x94, UInt8(ascii: "(")]
    pickle += [0x8C, 1] + Array("a".utf8) + [UInt8(ascii: "]"), UInt8(ascii: "(")]
    pickle += [UInt8(ascii: "K"), 1, 0x8A, 1, 0xFE, UInt8(ascii: "M"), 0x2C, 1]
    pickle += [UInt8(ascii: "J"), 0x70, 0x11, 1, 0, UInt8(ascii: "N"), 0x88, UInt8(ascii: "e")]
    pickle += [0x8C, 1] + Array("b".utf8) + [UInt8(ascii: "G"), 0x3F, 0xF8, 0, 0, 0, 0, 0, 0]
    pickle +=
      [0x8C, 1] + Array("x".utf8) + [UInt8(ascii: "C"), 1] + Array("y".utf8) + [
        0x87, UInt8(ascii: "u"), UInt8(ascii: "."),
      ]
    let value = try HarmlessPickle.value(pickle, name: "test", limits: .standard)
    #expect(
      value
        == .dictionary(
          [
            .init(.string("a"), .list([.int(1), .int(-2), .int(300), .int(70000), .none, .bool(true)])),
            .init(.string("b"), .tuple([.double(1.5), .string("x"), .bytes(Array("y".utf8))])),
          ], ordered: false))
  }

  @Test(arguments: [
    "cposix\nsystem\n(X\u{1}\0\0\0xtR.", "cbuiltins\neval\n.", "cdill._dill\n_create_function\n.",
    "ctorch.utils._pytree\n_private\n.", "ctorch\nload\n.",
  ])
  func refusesOtherClasses(_ body: String) throws {
    let error = try #require(throws: ConversionError.self) {
      try HarmlessPickle.value([0x80, 2] + Array(body.utf8), name: "test", limits: .standard)
    }
    #expect(error.kind == .hostileInput)
    let words = body.split(separator: "\n")
    #expect(error.message.contains("\(words[0].dropFirst()).\(words[1])"), "\(error.message)")
  }

  /// A list that contains itself, and a tree of shared pairs that doubles with each level.
  @Test func boundsSharedAndRecursiveValues() throws {
    let recursive: [UInt8] = [
      0x80, 4, UInt8(ascii: "]"), 0x94, UInt8(ascii: "h"), 0, UInt8(ascii: "a"), UInt8(ascii: "."),
    ]
    #expect(throws: ConversionError.self) { try HarmlessPickle.value(recursive, name: "test", limits: .standard) }
    var doubling: [UInt8] = [0x80, 4, UInt8(ascii: ")"), 0x94]
    for level in 0..<60 { doubling += [UInt8(ascii: "h"), UInt8(level), 0x86, 0x94] }
    var limits = Limits()
    limits.treeNodes = 100_000
    #expect(throws: ConversionError.self) {
      try HarmlessPickle.value(doubling + [UInt8(ascii: ".")], name: "test", limits: limits)
    }
  }
}
