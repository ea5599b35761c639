import Testing

@testable import Core

@Suite struct PickleMachineTests {
  /// Gives one storage of 64 bytes for the key `0`.
  struct OneStorage: PickleStorageResolver {
    var inline: [[UInt8]] = []
    func storage(_ id: PersistentID) throws(ConversionError) -> PickleStorage {
      PickleStorage(id: StorageID(0), dtype: id.dtype, byteOffset: 0, byteCount: 64, key: id.key)
    }
    mutating func inlineStorage(_ bytes: [UInt8]) -> StorageID {
      inline.append(bytes)
      return StorageID(inline.count)
    }
  }

  private func run(_ pickle: [UInt8], _ limits: Limits = .standard) throws -> PickleTree {
    var machine = PickleMachine(
      input: PickleInput(bytes: pickle, name: "test.pkl"), resolver: OneStorage(), limits: limits)
    return try machine.tree()
  }

  private func refusal(_ pickle: [UInt8], _ limits: Limits = .standard) -> ConversionError? {
    conversionError { try run(pickle, limits) }
  }

  private func text(_ value: String) -> [UInt8] { Array(value.utf8) }
  private func string(_ value: String) -> [UInt8] { text("X") + [UInt8(value.utf8.count), 0, 0, 0] + text(value) }

  @Test func readsPlainValues() throws {
    #expect(try run(text("K") + [7] + text(".")) == .int(7))
    #expect(try run(text("J") + [0xFE, 0xFF, 0xFF, 0xFF] + text(".")) == .int(-2))
    #expect(try run([0x8A, 1, 0xFF] + text(".")) == .int(-1))
    #expect(try run([0x8A, 0] + text(".")) == .int(0))
    #expect(try run([0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1] + text(".")) == .longInt("18446744073709551616"))
    #expect(
      try run([0x8A, 9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF] + text("."))
        == .longInt("-9223372036854775809"))
    #expect(try run(text("I01\n.")) == .bool(true))
    #expect(try run(text("I-12345678901\n.")) == .int(-12_345_678_901))
    #expect(try run(text("G") + [0x3F, 0xF8, 0, 0, 0, 0, 0, 0] + text(".")) == .double(1.5))
    // Python 2 text: UTF-8 is text, the rest is bytes.
    #expect(try run(text("U") + [1] + text("a.")) == .string("a"))
    #expect(try run(text("U") + [1, 0xFF] + text(".")) == .bytes([0xFF]))
  }

  @Test func keysSetAgainKeepTheirPlaceAndTakeTheNewValue() throws {
    let pickle =
      text("}(") + string("a") + text("K") + [1] + string("b") + text("K") + [2] + string("a") + text("K") + [3]
      + text("u.")
    #expect(
      try run(pickle) == .dictionary([.init(.string("a"), .int(3)), .init(.string("b"), .int(2))], ordered: false))
  }

  @Test func refusesKeysThatSwiftWouldMerge() {
    let pickle = text("}(") + string("\u{E9}") + text("N") + string("e\u{301}") + text("Nu.")
    #expect(refusal(pickle)?.message.contains("normal form") == true)
  }

  @Test func dropsTheAttributesOfDictionaries() throws {
    let pickle = text("ccollections\nOrderedDict\n)R}") + string("_metadata") + text("}sb.")
    #expect(try run(pickle) == .dictionary([], ordered: true))
  }

  @Test(arguments: [
    ("cposix\nsystem\n(X\u{1}\u{0}\u{0}\u{0}xtR.", "posix.system"), ("c__builtin__\neval\n.", "__builtin__.eval"),
    ("ctorch\nserialization.os.system\n.", "torch.serialization.os.system"), ("ios\nsystem\n.", "os.system"),
    ("ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"),
  ])
  func refusesOtherGlobals(pickle: String, name: String) {
    let error = refusal(text(pickle))
    #expect(error?.kind == .hostileInput)
    #expect(error?.message.contains("refuses the global \(name)") == true)
    #expect(error?.message.contains("test.pkl") == true)
  }

  @Test(arguments: [
    ".", "a.", "(2.", "h\u{5}.", "]q\u{0}h\u{0}a.", "}]Ns.", "0.", "e.", "(NsN.", "NR.", "Nb.", "(K\u{1}u.", "\u{1}",
    "cbuiltins\nint\n)R.", "cbuiltins\nint\n.", "NQ.",
  ])
  func refusesWhatNoPicklerWrites(pickle: String) {
    #expect(refusal(text(pickle))?.kind == .hostileInput)
  }

  @Test func refusesTruncation() {
    #expect(refusal(text("]"))?.kind == .unreadableInput)
    #expect(refusal(text("X") + [0, 0, 0, 1])?.kind == .unreadableInput)
    #expect(refusal([0x8D, 0, 0, 0, 0, 0, 0, 0, 0x10])?.kind == .hostileInput)
  }

  @Test func boundsNestingWithoutRecursion() {
    let lists =
      [UInt8](repeating: UInt8(ascii: "]"), count: 200_000) + [UInt8](repeating: UInt8(ascii: "a"), count: 199_999)
    #expect(refusal(lists + text("."))?.message.contains("nested more than 256") == true)
    #expect(refusal(text(")") + [UInt8](repeating: 0x85, count: 300_000) + text("."))?.kind == .hostileInput)
  }

  /// Each list holds the one before ten times over: 13 lines of pickle, 10^12 values.
  @Test func countsSharedPartsEachTime() {
    var bomb = text("]q\u{0}")
    for level in 1...12 {
      bomb += text("](") + (0..<10).flatMap { _ in text("h") + [UInt8(level - 1)] } + text("eq") + [UInt8(level)]
    }
    #expect(refusal(bomb + text("."))?.message.contains("expands to more") == true)
  }

  /// Appending one item at a time must not copy the list each time.
  @Test(.timeLimit(.minutes(1))) func growsInPlace() throws {
    let count = 300_000
    let items = [UInt8](repeating: 0, count: 2 * count).indices.map { UInt8(ascii: $0.isMultiple(of: 2) ? "N" : "a") }
    guard case .list(let values) = try run(text("]") + items + text(".")) else { return }
    #expect(values.count == count)
  }

  @Test func obeysEachLimit() {
    var limits = Limits.standard
    limits.pickleOperations = 3
    #expect(refusal(text("NNNNN."), limits)?.message.contains("opcodes") == true)
    limits = .standard
    limits.treeNodes = 3
    #expect(refusal(text("NNNNN."), limits)?.message.contains("more than 3 values") == true)
    limits = .standard
    limits.pickleMemo = 1
    #expect(refusal(text("Nq\u{0}q\u{1}."), limits)?.message.contains("memo") == true)
    limits = .standard
    limits.pickleString = 2
    #expect(refusal(string("abc") + text("."), limits)?.message.contains("string") == true)
    #expect(refusal([0x8B, 0, 0, 0, 0x7F])?.message.contains("integer") == true)
    #expect(refusal([0x8B, 0xFF, 0xFF, 0xFF, 0xFF])?.message.contains("integer") == true)
  }

  /// `_rebuild_tensor_v2` with every field bad in turn.
  @Test(arguments: [
    (UInt8(4), [UInt8(4), 4], [UInt8(4), 1], "element 19"), (0, [4, 5], [5, 1], "element 19"),
    (0, [4], [4, 1], "1 dimensions"),
    (0, [255, 255], [0, 0], nil),
  ])
  func checksViews(offset: UInt8, shape: [UInt8], strides: [UInt8], problem: String?) throws {
    func tuple(_ values: [UInt8]) -> [UInt8] { text("(") + values.flatMap { text("K") + [$0] } + text("t") }
    let pickle =
      text("}") + string("key") + text("ctorch._utils\n_rebuild_tensor_v2\n((") + string("storage")
      + text("ctorch\nFloatStorage\n") + string("0") + string("cpu") + text("K") + [16] + text("tQK") + [offset]
      + tuple(shape) + tuple(strides) + [0x89] + text("ccollections\nOrderedDict\n)RtRs.")
    if let problem {
      let error = refusal(pickle)
      #expect(error?.kind == .hostileInput)
      #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
      #expect(error?.message.contains("'key'") == true)
    } else if case .tensor(let tensor)? = try run(pickle)["key"] {
      #expect(tensor.strides == [0, 0])
    }
  }
}
