import OrderedCollections
import Testing

@testable import Core

/// Configs in other encodings, and files that are no configs.
@Suite struct ConfigTextTests {
  private static let text = #"{"a": "é𝄞", "b": 2}"#

  private static func utf16(_ text: String, bigEndian: Bool, mark: Bool) -> [UInt8] {
    ((mark ? [0xFEFF] : []) + Array(text.utf16)).flatMap { unit in
      bigEndian ? [UInt8(unit >> 8), UInt8(unit & 0xFF)] : [UInt8(unit & 0xFF), UInt8(unit >> 8)]
    }
  }

  private static func utf32(_ text: String, bigEndian: Bool, mark: Bool) -> [UInt8] {
    ((mark ? [0xFEFF] : []) + text.unicodeScalars.map(\.value)).flatMap { unit in
      let bytes = (0..<4).map { UInt8(truncatingIfNeeded: unit >> (8 * $0)) }
      return bigEndian ? bytes.reversed() : bytes
    }
  }

  @Test(arguments: [true, false], [true, false]) func jsonIsReadInEveryEncoding(_ bigEndian: Bool, _ mark: Bool) throws
  {
    for bytes in [
      Self.utf16(Self.text, bigEndian: bigEndian, mark: mark), Self.utf32(Self.text, bigEndian: bigEndian, mark: mark),
    ] {
      let document = try ConfigDocument.parse(bytes, name: "c.json", syntax: .json)
      #expect(document.root == ["a": "é𝄞", "b": 2])
      #expect(document.syntax == .json)
      #expect(try ConfigDocument.parse(bytes, name: "inline").root == document.root)
    }
  }

  @Test(arguments: [true, false]) func yamlIsReadWithAMark(_ bigEndian: Bool) throws {
    let bytes = Self.utf16("model:\n  a: é # why\n", bigEndian: bigEndian, mark: true)
    let document = try ConfigDocument.parse(bytes, name: "p.yaml", syntax: .yaml)
    #expect(document.root == ["model": ["a": "é"]])
    // What was read is patched as UTF-8.
    #expect(document.render().contains("# why"))
  }

  @Test(
    arguments: [
      [0xFF, 0xFE, 0x7B], [0xFF, 0xFE, 0x00, 0xD8], [0xFE, 0xFF, 0xDC, 0x00],
      [0x00, 0x00, 0xFE, 0xFF, 0x00, 0x11, 0x00, 0x00],
    ] as [[UInt8]])
  func damageIsNamed(_ bytes: [UInt8]) {
    let error = conversionError { try ConfigDocument.parse(bytes, name: "c.json", syntax: .json) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("c.json looks like UTF-") == true)
  }

  @Test(
    arguments: [
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "git lfs pull"),
      (Array("  <!DOCTYPE html>".utf8), "web page"), ([0x1F, 0x8B, 8], "gzip"), (Array("GGUF".utf8) + [3], "GGUF"),
      ([0x50, 0x4B, 3, 4, 0], "is a checkpoint (torch)"), ([0x80, 2, 0x8A], "is a checkpoint (torch)"),
      ([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A], "is a checkpoint (HDF5)"),
      ([2, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], "is a checkpoint (safetensors)"),
    ] as [([UInt8], String)])
  func otherFilesAreCalledWhatTheyAre(_ bytes: [UInt8], _ word: String) {
    for (name, syntax) in [("c.json", ConfigDocument.Syntax.json), ("p.yaml", .yaml)] {
      let error = conversionError { try ConfigDocument.parse(bytes, name: name, syntax: syntax) }
      #expect(error?.kind == .unreadableInput)
      #expect(error?.message.hasPrefix(name) == true)
      #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }
    let error = conversionError { try ShardIndex.parse(bytes, name: "m.index.json") }
    #expect(error?.message.contains(word) == true)
  }

  @Test func largeCheckpointsAreCalledThatToo() throws {
    var limits = Limits.standard
    limits.configBytes = 16
    let folder = try TemporaryFolder()
    let path = try folder.write([0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 100), as: "c.json")
    let error = conversionError { try ConfigDocument.load(path: path, limits: limits) }
    #expect(error?.message.contains("is a checkpoint") == true)
  }

  /// Texts that begin like something else, but are configs.
  @Test func yamlMayBeginWithALetter() throws {
    #expect(try ConfigDocument.parse(Array("PK: 1\n".utf8), name: "p.yaml", syntax: .yaml).root == ["PK": 1])
    #expect(
      try ConfigDocument.parse(Array("version: 1\n".utf8), name: "p.yaml", syntax: .yaml).root == ["version": 1])
  }
}
