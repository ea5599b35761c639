import Foundation
import HTTPTypes
import HummingbirdTesting
import Synchronization
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Retention")
struct JanitorTests {
  private static let hour: Duration = .seconds(3600)

  /// Ids of jobs or uploads at the end of URLs.
  private func identifier(_ url: String) throws -> Identifier {
    try #require(url.split(separator: "/").last.flatMap { Identifier(String($0)) })
  }

  @Test("Ended jobs go after their time with their outputs; pinned, queued and running ones stay")
  func jobs() async throws {
    let harness = try ServiceHarness { $0.workers = 2 }
    try await harness.test { client async throws in
      let old = try await client.start("quick")
      let pinned = try await client.start("quick")
      let failed = try await client.start("broken")
      for url in [old, pinned] { try await client.wait(url, for: "succeeded") }
      try await client.wait(failed, for: "failed")
      let running = try await client.start("endless")
      try await client.wait(running, for: "running")
      #expect(try await client.send(.put, "\(pinned)/pin").json["pinned"] as? Bool == true)

      let janitor = harness.app.janitor
      #expect(try janitor.collect(at: .now.advanced(by: Self.hour * 167)).jobs.isEmpty)
      let later = Timestamp.now.advanced(by: Self.hour * 169)
      let expected = Set([try identifier(old), try identifier(failed)])
      #expect(Set(try janitor.collect(at: later, isDryRun: true).jobs) == expected)
      #expect(try await client.send(.get, old).status == .ok)
      #expect(Set(try janitor.collect(at: later).jobs) == expected)
      #expect(try janitor.collect(at: later).jobs.isEmpty)
      #expect(try await client.send(.get, old).status == .notFound)
      #expect(try harness.files("outputs") == [try identifier(pinned).description])
      #expect(try await client.send(.get, running)["status"] == "running")

      #expect(try await client.send(.delete, "\(pinned)/pin").json["pinned"] as? Bool == false)
      #expect(try janitor.collect(at: later).jobs == [try identifier(pinned)])
      #expect(try harness.files("outputs").isEmpty)
      #expect(try await client.send(.put, "\(pinned)/pin").status == .notFound)
      try await client.send(.delete, running)
    }
  }

  @Test("An upload goes a day after its last use, never while a job needs it")
  func uploads() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let unused = try await client.upload("a.bin", "a")
      let needed = try await client.upload("b.bin", "b")
      let job = try await client.submit(
        #"{"model":"endless","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
          + #""checkpoint":{"upload":"\#(needed)"}}"#)
      let url = try #require(job["url"])
      let janitor = harness.app.janitor
      #expect(try janitor.collect(at: .now.advanced(by: Self.hour * 23)).uploads.isEmpty)
      // Years later, but the job is still not ended.
      let years = Timestamp.now.advanced(by: Self.hour * 24 * 1000)
      #expect(try janitor.collect(at: years).uploads.map(\.description) == [unused])
      #expect(try harness.files("uploads") == [needed])
      try await client.send(.delete, url)
      #expect(try janitor.collect(at: .now.advanced(by: Self.hour * 23)).uploads.isEmpty)
      #expect(try janitor.collect(at: .now.advanced(by: Self.hour * 25)).uploads.map(\.description) == [needed])
      #expect(try harness.files("uploads").isEmpty)
      // The job outlives its input.
      #expect(try await client.send(.get, url)["status"] == "cancelled")
    }
  }

  @Test("A round counts the bytes of each kind, and takes the cache along; a look counts the same")
  func cache() async throws {
    let harness = try ServiceHarness { $0.cacheLimit = 8192 }
    try await harness.test { client async throws in
      let cache = harness.app.janitor.cache
      for key in ["a", "b"] {
        // The files come from an earlier process, whose limit was another.
        let roomy = try DownloadCache(root: harness.folder.path.appending("cache"), limit: 1 << 20)
        _ = try roomy.file(key, isCancelled: { false }) { (path) throws(TransferFailure) in
          _ = FileManager.default.createFile(atPath: path.string, contents: Data(count: 8192))
        }
      }
      _ = try await client.upload("a.bin", String(repeating: "a", count: 5000))
      let later = Timestamp.now.advanced(by: Self.hour * 25)
      let seen = try harness.app.janitor.collect(at: later, isDryRun: true)
      #expect(cache.holds("a") && cache.holds("b"))
      #expect(seen.downloads == [.init(key: "a", bytes: 8192, isPartial: false)])
      #expect(seen.bytes == .init(jobs: 0, uploads: 8192, partials: 0))
      #expect(try harness.app.janitor.collect(at: later) == seen)
      #expect(!cache.holds("a") && cache.holds("b"))
    }
  }

  /// Bytes of disk below a part of the data folder, each file counted once.
  private func disk(_ harness: ServiceHarness, _ part: String) throws -> Int {
    let root = harness.folder.path.appending(part).string
    var files: [ino_t: Int] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
      var status = stat()
      guard lstat("\(root)/\(name)", &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { continue }
      files[status.st_ino] = Int(status.st_blocks) * 512
    }
    return files.values.reduce(0, +)
  }

  @Test("The bytes of a job are those of its outputs and of the uploads that came with its form")
  func broughtBytes() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let weights = String(repeating: "w", count: 20_000)
      let parts = [
        "name=model\r\n\r\nquick", "name=src_fmt\r\n\r\nhf", "name=tgt_fmt\r\n\r\ncs-1.8",
        "name=config; filename=config.json\r\n\r\n{}", "name=checkpoint; filename=m.bin\r\n\r\n\(weights)",
      ]
      let body = parts.map { "--b\r\nContent-Disposition: form-data; \($0)\r\n" }.joined() + "--b--\r\n"
      let job = try await client.send(
        .post, "/v1/jobs", headers: [.contentType: "multipart/form-data; boundary=b"], body: body)
      try await client.wait(try #require(job["url"]), for: "succeeded")
      // The attempt has links to its inputs until its folder goes.
      #expect(try await eventually { try harness.files("work").isEmpty })
      let later = Timestamp.now.advanced(by: Self.hour * 169)
      let (inputs, outputs) = (try disk(harness, "uploads"), try disk(harness, "outputs"))
      #expect(inputs >= 20_000 && outputs >= 20_000)
      let seen = try harness.app.janitor.collect(at: later, isDryRun: true)
      #expect(seen.jobs.map(\.description) == [job["id"]])
      #expect(seen.uploads.isEmpty)
      #expect(seen.bytes == .init(jobs: inputs + outputs))
      #expect(try harness.app.janitor.collect(at: later) == seen)
      #expect(try harness.files("uploads").isEmpty)
    }
  }

  @Test("Outputs that jobs share count once, with the last job that has them")
  func sharedBytes() async throws {
    let harness = try ServiceHarness { $0.retention.inputs = nil }
    try await harness.test { client async throws in
      let upload = try await client.upload("pytorch_model.bin", String(repeating: "w", count: 20_000))
      func submit() async throws -> String {
        let answer = try await client.submit(
          #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{"a":1}},"#
            + #""checkpoint":{"upload":"\#(upload)"}}"#)
        return try #require(answer["url"])
      }
      let pinned = try await submit()
      try await client.wait(pinned, for: "succeeded")
      #expect(try await eventually { try harness.files("work").isEmpty })
      try await client.send(.put, "\(pinned)/pin")
      let second = try await submit()
      #expect(try await client.send(.get, second).json["reused"] as? Bool == true)
      let later = Timestamp.now.advanced(by: Self.hour * 169)
      let bytes = try disk(harness, "outputs")
      #expect(bytes >= 20_000)
      // The other job keeps the files.
      for isDryRun in [true, false] {
        let round = try harness.app.janitor.collect(at: later, isDryRun: isDryRun)
        #expect(round.jobs == [try identifier(second)])
        #expect(round.bytes == .init(jobs: 0), "\(isDryRun)")
      }
      let third = try await submit()
      try await client.send(.delete, "\(pinned)/pin")
      for isDryRun in [true, false] {
        let round = try harness.app.janitor.collect(at: later, isDryRun: isDryRun)
        #expect(Set(round.jobs) == [try identifier(pinned), try identifier(third)])
        #expect(round.bytes == .init(jobs: bytes), "\(isDryRun)")
      }
      #expect(try disk(harness, "outputs") == 0)
    }
  }

  @Test("A service that starts removes nothing at once: its clock may be wrong")
  func start() async throws {
    let harness = try ServiceHarness { $0.retention = Retention(inputs: .zero, outputs: .zero, partials: .zero) }
    try await harness.test { client async throws in
      let upload = try await client.upload("a.bin", "a")
      let janitor = harness.app.janitor
      let running = Task { try await janitor.run() }
      try await Task.sleep(for: .milliseconds(500))
      running.cancel()
      try await running.value
      #expect(try harness.files("uploads") == [upload])
      #expect(try janitor.collect(at: .now.advanced(by: .seconds(1))).uploads.map(\.description) == [upload])
    }
  }

  @Test("Whoever has to answer for a round is told of each record that goes, and of none in a dry run")
  func audit() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let job = try await client.start("broken")
      try await client.wait(job, for: "failed")
      let unused = try await client.upload("a.bin", "a")
      let told = Mutex<[String]>([])
      var janitor = harness.app.janitor
      janitor.audit = { action, subject in told.withLock { $0.append("\(action.rawValue) \(subject)") } }
      let later = Timestamp.now.advanced(by: Self.hour * 169)
      _ = try janitor.collect(at: later, isDryRun: true)
      #expect(told.withLock { $0 }.isEmpty)
      _ = try janitor.collect(at: later)
      let lines = told.withLock { $0 }
      #expect(lines.first == "job.delete jobs/\(try identifier(job))")
      #expect(lines.contains("upload.delete uploads/\(unused)"))
      #expect(lines.count == 3, "and the upload of the job")
    }
  }

  @Test("Nothing expires when the time is for ever")
  func never() async throws {
    let harness = try ServiceHarness { $0.retention = Retention(inputs: nil, outputs: nil) }
    try await harness.test { client async throws in
      try await client.wait(client.start("quick"), for: "succeeded")
      let round = try harness.app.janitor.collect(at: .now.advanced(by: Self.hour * 1_000_000))
      #expect(round == Janitor.Round())
    }
  }

  @Test("Settings: hours, 0 for ever")
  func settings() throws {
    let settings = try Settings(flags: ["keep-inputs": "0", "keep-outputs": "2"], environment: [:])
    #expect(settings.retention.inputs == nil)
    #expect(settings.retention.outputs == .seconds(7200))
  }

  @Test("A second process changes no schema")
  func schema() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("x.sqlite").string
    #expect(throws: Database.OtherSchema.self) { _ = try Database(path: path, migrates: false) }
    _ = try Database(path: path)
    _ = try Database(path: path, migrates: false)
  }
}
