import Foundation
import Testing

@testable import Core

/// The interpreter that `ZOOPORT_PYTHON` names.
private let interopPython = ProcessInfo.processInfo.environment["ZOOPORT_PYTHON"]

/// The real torch and safetensors read what the writers write. Runs when `ZOOPORT_PYTHON` names a Python that has them.
@Suite(.enabled(if: interopPython != nil)) struct InteropTests {
  @Test func torchReadsEveryTypeSharedAndNested() throws {
    let folder = try TemporaryFolder()
    var sample = Sample.flat(DType.allCases.map { ($0.rawValue, $0, [2, 3]) })
    guard case .dictionary(var entries, _) = sample.tree else { return }
    entries.append(.init(.string("tied"), entries[1].value))
    entries.append(.init(.string("scalar"), sample.tensor(.float32, [])))
    entries.append(.init(.string("empty"), sample.tensor(.float32, [0, 4])))
    entries.append(
      .init(.string("ordered"), .dictionary([.init(.int(0), .tuple([.int(1), .double(0.5)]))], ordered: true)))
    entries.append(.init(.string("set"), .set([.int(3)])))
    entries.append(.init(.string("long"), .longInt("-1180591620717411303424")))
    entries.append(.init(.string("raw"), .bytes([0, 0x80, 0xFF])))
    entries.append(.init(.string("complex"), .opaque(.complex(1, 2))))
    entries.append(.init(.string("dtype"), .opaque(.dtype("torch.float16"))))
    entries.append(.init(.string("device"), .opaque(.device("cuda", 1))))
    sample.tree = .dictionary(entries, ordered: false)
    let path = folder.file("all.pt")
    try sample.write(with: TorchZipWriter.self, to: path)
    let seen = try #require(try load(path))
    for entry in entries {
      guard case .tensor(let tensor) = entry.value else { continue }
      try expect(seen, entry.key.description, tensor, sample)
    }
    #expect(seen["shared"] as? [[String]] == [["float32", "tied"]])
    #expect(seen["ordered.0.0"] as? String == "1")
    #expect(seen["ordered.0.1"] as? String == "0.5")
    #expect(seen["set"] as? String == "{3}")
    #expect(seen["long"] as? String == "-1180591620717411303424")
    #expect(seen["raw"] as? String == #"b'\x00\x80\xff'"#)
    #expect(seen["complex"] as? String == "(1+2j)")
    #expect(seen["dtype"] as? String == "torch.float16")
    #expect(seen["device"] as? String == "device(type='cuda', index=1)")
  }

  @Test func safetensorsReadsEveryType() throws {
    let folder = try TemporaryFolder()
    let dtypes = DType.allCases.filter { $0 != .complex32 && $0 != .complex128 }
    let sample = Sample.flat(dtypes.map { ($0.rawValue, $0, [2, 3]) } + [("é\"\u{1}", .float32, [])])
    let path = folder.file("all.safetensors")
    try sample.write(with: SafetensorsWriter.self, to: path)
    let seen = try #require(try load(path))
    guard case .dictionary(let entries, _) = sample.tree else { return }
    for entry in entries {
      if case .tensor(let tensor) = entry.value { try expect(seen, entry.key.description, tensor, sample) }
    }
  }

  private func expect(_ seen: [String: Any], _ key: String, _ tensor: OutputTensor, _ sample: Sample) throws {
    let entry = try #require(seen[key] as? [Any], "\(key) is missing")
    #expect(entry[0] as? String == tensor.dtype.rawValue)
    #expect(entry[1] as? [Int] == tensor.shape)
    let hex = sample.contents[tensor.storage].map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
    #expect(entry[2] as? String == hex, "\(key)")
  }

  /// What the libraries see in a file.
  private func load(_ path: String) throws -> [String: Any]? {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Interop/load_archives.py")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(interopPython))
    process.arguments = [script.path, path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return try (JSONSerialization.jsonObject(with: data) as? [String: Any])?[path] as? [String: Any]
  }
}
