import Foundation
import Testing

@testable import Core

@Suite struct CheckpointTests {
  @Test(arguments: [
    ("", "is empty"), ("{\"weight_map\": {}}", "JSON"), ("vocab_size: 50257\nhidden_size: 768\n", "YAML"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"), ("<!DOCTYPE html>", "web page"),
    ("GGUF\u{3}\u{0}\u{0}\u{0}", "GGUF"), ("\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}", "no checkpoint"),
    ("PK and nothing else", "zip archive"),
  ])
  func saysWhatOtherFilesAre(content: String, hint: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(content.utf8), as: "pytorch_model.bin")
    let error = conversionError { try Checkpoint.open(path: path) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains(hint) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains(path) == true)
  }

  @Test func missingFilesAndFoldersAreUnreadable() throws {
    let folder = try TemporaryFolder()
    #expect(conversionError { try Checkpoint.open(path: folder.file("none")) }?.kind == .unreadableInput)
    #expect(conversionError { try Checkpoint.open(path: folder.path) }?.kind == .unreadableInput)
  }

  /// Damage to the directory of an archive that is otherwise sound.
  @Test func checksTheDirectoryOfAnArchive() throws {
    let folder = try TemporaryFolder()
    try Sample.flat([("a", .float32, [4]), ("b", .float32, [4])]).write(
      with: TorchZipWriter.self, to: folder.file("good"))
    let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.file("good"))))
    let directory = try #require(good.indices.dropLast(4).first { Array(good[$0..<$0 + 4]) == [0x50, 0x4B, 1, 2] })
    func answer(_ change: (inout [UInt8]) -> Void) throws -> ConversionError? {
      var bytes = good
      change(&bytes)
      let path = try folder.write(bytes, as: "damaged")
      return conversionError { try Checkpoint.open(path: path) }
    }
    // data.pkl is the first entry: method, encryption, size, checksum, place, and the count of the end record.
    #expect(try answer { $0[directory + 10] = 8 }?.kind == .hostileInput)
    #expect(try answer { $0[directory + 8] |= 1 }?.message.contains("encrypted") == true)
    #expect(try answer { $0[directory + 24] ^= 1 }?.message.contains("two sizes") == true)
    #expect(try answer { $0[directory + 16] ^= 1 }?.message.contains("checksum") == true)
    #expect(try answer { $0[directory + 42] ^= 64 }?.kind == .hostileInput)
    #expect(try answer { $0[$0.count - 12] ^= 3 }?.message.contains("several parts") == true)
    #expect(try answer { $0.removeLast(5) }?.kind == .unreadableInput)
    #expect(try answer { $0.append(0) }?.kind == .unreadableInput)
    #expect(try answer { $0.insert(0, at: directory) }?.kind == .hostileInput)
  }
}
