import Foundation
import Synchronization
import SystemPackage
import Testing

@testable import Core

@Suite("Files that are published with the outputs")
struct CompanionFilesTests {
  private let folder: FilePath
  private var outputs: FilePath { folder.appending("outputs") }

  init() throws {
    folder = FilePath(FileManager.default.temporaryDirectory.path).appending("companions-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      atPath: folder.appending("outputs").string, withIntermediateDirectories: true)
  }

  private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let path = folder.appending(name)
    try Data(bytes).write(to: URL(filePath: path.string))
    return path.string
  }

  private func content(_ name: String) -> [UInt8]? {
    FileManager.default.contents(atPath: outputs.appending(name).string).map { Array($0) }
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: outputs.string).sorted() }
  }

  private func publish(_ files: [StagedFile]) throws {
    var publication = Publication()
    for file in files { publication.add(file) }
    try publication.publish(durably: true)
  }

  @Test("Copies are equal to the last byte, and nobody sees them before they are published")
  func copies() throws {
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    // Some pieces and a bit, and nothing at all.
    let large = (0..<(5 << 19) + 7).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let paths = [try file("large", large), try file("empty", [])]
    var staged = try CompanionFiles.stage(paths, in: outputs.string)
    #expect(content("large") == nil && content("empty") == nil)
    try publish(staged)
    staged = []
    #expect(content("large") == large)
    #expect(content("empty") == [])
    #expect(try names == ["empty", "large"])
    // Once more: they are there, and equal.
    #expect(try CompanionFiles.stage(paths, in: outputs.string).isEmpty)
  }

  @Test(
    "Another file of the name stays, found before the copy or only when the name is taken", arguments: [true, false])
  func occupied(_ isEarly: Bool) throws {
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    let paths = [try file("first", [9]), try file("tokenizer.json", [1, 2, 3])]
    let other = URL(filePath: outputs.appending("tokenizer.json").string)
    if isEarly { try Data([1, 2, 4]).write(to: other) }
    var staged: [StagedFile] = []
    let error = #expect(throws: ConversionError.self) {
      staged = try CompanionFiles.stage(paths, in: outputs.string)
      try Data([1, 2, 4]).write(to: other)
      try publish(staged)
    }
    staged = []
    #expect(error?.kind == .outputFailed)
    #expect(error?.message.contains("tokenizer.json exists already") == true)
    #expect(content("tokenizer.json") == [1, 2, 4])
    #expect(try names == ["tokenizer.json"])
  }

  @Test("A file beyond the limit is refused by its size")
  func limit() throws {
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    let path = try file("huge", [])
    #expect(truncate(path, Limits.standard.companionBytes + 1) == 0)
    let error = #expect(throws: ConversionError.self) { try CompanionFiles.stage([path], in: outputs.string) }
    #expect(error?.kind == .hostileInput)
    #expect(try names.isEmpty)
  }

  @Test("A copy ends when the conversion is cancelled")
  func cancelled() throws {
    defer { try? FileManager.default.removeItem(atPath: folder.string) }
    let path = try file("large", Array(repeating: 1, count: 8 << 20))
    var asked = 0
    let error = #expect(throws: ConversionError.self) {
      try Interruption.heeding({
        asked += 1
        return asked > 3
      }) { () throws(ConversionError) in _ = try CompanionFiles.stage([path], in: outputs.string) }
    }
    #expect(error?.kind == .cancelled)
    #expect(asked == 4)
    #expect(try names.isEmpty)
  }
}
