import Foundation
import HTTPTypes
import HummingbirdTesting
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("All outputs in one archive")
struct TarDownloadTests {
  /// Runs the system's tar.
  private func tar(_ arguments: [String], in folder: TemporaryFolder) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/tar")
    process.arguments = arguments
    process.currentDirectoryURL = URL(filePath: folder.path.string)
    let output = Pipe()
    process.standardOutput = output
    process.environment = ["LC_ALL": "C.UTF-8", "TZ": "UTC"]
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return text
  }

  @Test("tar unpacks what was converted", arguments: [TestingSetup.router, .live])
  func unpack(_ setup: TestingSetup) async throws {
    try await ServiceHarness().test(setup) { client async throws in
      let job = try await client.wait(client.start("quick"), for: "succeeded")
      let url = try #require(job["url"])
      let answer = try await client.send(.get, "\(url)/outputs")
      #expect(answer.headers[.contentType] == "application/x-tar")
      #expect(answer.headers[.contentDisposition]?.contains("\(job["id"] ?? "?").tar") == true)
      // Everything in this archive is ASCII.
      #expect(answer.headers[.contentLength] == String(answer.body.utf8.count))
      #expect(answer.body.utf8.count % 512 == 0)
      let head = try await client.send(.head, "\(url)/outputs")
      #expect(head.headers[.contentLength] == answer.headers[.contentLength])
      #expect(head.body.isEmpty)

      let folder = try TemporaryFolder()
      try Data(answer.body.utf8).write(to: URL(filePath: folder.path.appending("x.tar").string))
      #expect(try tar(["tf", "x.tar"], in: folder) == "config_to_cs-1.8.yaml\npytorch_model_to_cs-1.8.mdl\n")
      _ = try tar(["xf", "x.tar"], in: folder)
      let unpacked = folder.path.appending("pytorch_model_to_cs-1.8.mdl").string
      #expect(try String(contentsOfFile: unpacked, encoding: .utf8) == "weights")
    }
  }

  @Test("A job without outputs has no archive")
  func none() async throws {
    try await ServiceHarness().test { client async throws in
      let job = try await client.wait(client.start("broken"), for: "failed")
      #expect(try await client.send(.get, "\(job["url"] ?? "")/outputs").status == .notFound)
    }
  }

  @Test(
    "Long names, names beyond ASCII, and sizes beyond 8 GiB",
    arguments: [
      ("a", 0), (String(repeating: "n", count: 100), 1), (String(repeating: "n", count: 101), 511),
      (String(repeating: "模", count: 60), 512), ("x.mdl", (8 << 30) - 1), ("x.mdl", 8 << 30), ("ö.mdl", 300 << 30),
    ])
  func headers(_ name: String, _ size: Int) throws {
    // The content is not there: tar lists what the header says, and reads no further than the end of this file.
    let header = TarArchive.header(name: name, size: size, time: 1_700_000_000)
    #expect(header.count % 512 == 0)
    let folder = try TemporaryFolder()
    let path = folder.path.appending("x.tar")
    try Data(header).write(to: URL(filePath: path.string))
    let file = try SystemPackage.FileDescriptor.open(path, .readWrite)
    defer { try? file.close() }
    let total = header.count + size + TarArchive.padding(after: size) + TarArchive.end.count
    #expect(total % 512 == 0)
    try file.resize(to: Int64(total))
    let line = try tar(["tvf", "x.tar", "--quoting-style=literal"], in: folder)
    let fields = line.split(separator: " ", omittingEmptySubsequences: true)
    #expect(fields.count == 6)
    #expect(fields[2] == "\(size)")
    #expect(fields[3] == "2023-11-14")
    #expect(fields[5] == "\(name)\n")
  }
}
