import Foundation
import TestSupport
import Testing

/// A limit on the size of files, as `ulimit -f` sets it, which the kernel reports by a signal as well.
@Suite("Limit of file sizes", .enabled(if: ServiceProcess.binary != nil)) struct FileSizeLimitTests {
  @Test("The command line says what happened and leaves no file, hidden or not")
  func leavesNothing() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "zooport-limit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/gpt2")
    let process = Process()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = [
      "-c",
      """
      ulimit -f 4; exec "$0" convert --model gpt2 --src-fmt hf --tgt-fmt cs-1.8 --output-dir "$1" "$2/pytorch_model.bin" \
        --config "$2/config.json"
      """,
      try #require(ServiceProcess.binary), folder.path, fixtures.path,
    ]
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 1)
    #expect(text.contains("ulimit -f"), "\(text)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
  }
}
