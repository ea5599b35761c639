import Foundation
import Testing

@testable import Core

/// Every recorded hostile file of torch and safetensors: refused with the right kind of error, and nothing is executed.
@Suite(.enabled(if: SharedFiles.exist)) struct HostileFileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let file: String
    let reader: String
    let kind: String
    var testDescription: String { file }
  }

  static let cases: [Case] = {
    let files = (try? SharedFiles.json("formats/hostile/hostile.json"))?["files"] as? [[String: Any]] ?? []
    return files.compactMap { entry in
      guard let file = entry["file"] as? String, let reader = entry["reader"] as? String,
        let kind = entry["kind"] as? String, ["torch-zip", "torch-legacy", "safetensors", "any"].contains(reader)
      else { return nil }
      return Case(file: file, reader: reader, kind: kind)
    }
  }()

  /// Where the recorded description leaves a choice: what we do.
  static let readable: Set<String> = [
    "pickle-huge-memo-index.bin", "zip-path-traversal.bin",
    // The pickle is intact; only the CRC-32 of a tensor is wrong, which shows when the tensor is read.
    "zip-wrong-crc.bin",
  ]

  /// Refused as damaged or unsupported: nothing tells them from files that were cut off or are of a later release.
  static let unreadable: Set<String> = [
    "st-unknown-dtype.safetensors", "st-out-of-range.safetensors", "st-deep-json.safetensors",
  ]

  @Test func thereAreCases() { #expect(Self.cases.count > 60) }

  @Test(arguments: cases) func answersAsDescribed(_ item: Case) throws {
    let path = SharedFiles.folder + "/formats/hostile/" + item.file
    if item.kind == "valid" || Self.readable.contains(item.file) {
      _ = try Checkpoint.open(path: path)
      return
    }
    let error = try #require(conversionError { try Checkpoint.open(path: path) })
    #expect(error.kind == .hostileInput || error.kind == .unreadableInput)
    #expect(error.message.contains(item.file), "the message names the file: \(error.message)")
    switch item.kind {
    case "forbidden-global":
      #expect(error.kind == .hostileInput)
      #expect(error.message.contains("refuses the global"), "\(error.message)")
    case "cycle", "too-deep", "bad-tensor", "duplicate-key":
      #expect(
        error.kind == (Self.unreadable.contains(item.file) ? .unreadableInput : .hostileInput), "\(error.message)")
    case "not-a-checkpoint", "bad-json": #expect(error.kind == .unreadableInput, "\(error.message)")
    default: break
    }
    #expect(!FileManager.default.fileExists(atPath: "/tmp/pwned"))
  }

  @Test func theControlHoldsItsTensor() throws {
    let source = try Checkpoint.open(path: SharedFiles.folder + "/formats/hostile/tensor-control-good.bin")
    guard case .tensor(let tensor)? = source.tree["w"] else {
      Issue.record("no tensor w")
      return
    }
    #expect(tensor.shape == [2, 2])
    let floats = try source.elements(tensor).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    #expect(floats == [1, 2, 3, 4])
  }
}
