import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Files that change while they are fetched, on servers that say so and on those that do not.
@Suite("Versions of a file")
struct FileVersionTests {
  private static let (old, new) = (someBytes(100_000, seed: 1), someBytes(100_000, seed: 2))

  private func download(_ remote: RemoteFile, _ fetcher: Fetcher) async throws -> Data {
    let folder = try TemporaryFolder()
    return try await onThread {
      let path = folder.path.appending("file")
      try ResumableDownload(remote, to: path, fetcher: fetcher, isCancelled: { false }, progress: { _ in }).run()
      return try Data(contentsOf: URL(filePath: path.string))
    }.result.get()
  }

  /// Reads two ranges of a file that had 100,000 bytes when its server was asked.
  private func readTwice(_ remote: RemoteFile, _ fetcher: Fetcher) async throws {
    try await onThread {
      let bytes = RemoteBytes(remote, size: 100_000, fetcher: fetcher, isCancelled: { false })
      try withUnsafeTemporaryAllocation(byteCount: 10, alignment: 1) { buffer in
        try bytes.read(at: 0, into: buffer)
        try bytes.read(at: 5000, into: buffer)
      }
    }.result.get()
  }

  private static let tags = ["ETag: \"1\"", "ETag: \"2\""]
  private static let dates = [1, 2].map {
    "Date: Thu, 01 Jan 2026 12:00:00 GMT\r\nLast-Modified: Thu, 01 Jan 2026 0\($0):00:00 GMT"
  }

  @Test("A server that does not heed If-Range makes a download begin again", arguments: [tags, dates])
  func download(validators: [String]) async throws {
    let server = try LoopbackServer.answering { request, send in
      // The first GET breaks off; then the file is another.
      let isNew = request.header("Range") != nil
      FileAnswer(
        bytes: isNew ? Self.new : Self.old, headers: [validators[isNew ? 1 : 0]], heedsIfRange: false,
        dropsAfter: isNew || request.method == "HEAD" ? .max : 60_000
      ).send(to: request, send)
    }
    defer { server.stop() }
    var remote = try await Fetcher.local().describe(server)
    // What HEAD said of the old version is another test.
    remote.tag = nil
    let file = remote
    let fetcher = try Fetcher.local()
    // The second version is never sent from its beginning, so all tries are used up; no file is joined.
    let error = await transferError { try await download(file, fetcher) }
    #expect(error?.kind == .fetchFailed)
  }

  @Test("When the other version comes whole, it is what is kept")
  func whole() async throws {
    let gets = Mutex(0)
    let server = try LoopbackServer.answering { request, send in
      let number = gets.withLock { gets in
        if request.method != "HEAD" { gets += 1 }
        return gets
      }
      FileAnswer(
        bytes: number < 2 ? Self.old : Self.new, headers: [Self.tags[number < 2 ? 0 : 1]], heedsIfRange: false,
        dropsAfter: number == 1 ? 60_000 : .max
      ).send(to: request, send)
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    var remote = try await fetcher.describe(server)
    remote.tag = nil
    #expect(try await download(remote, fetcher) == Self.new)
    // The broken one, the range that was of another version, and the whole.
    #expect(gets.withLock { $0 } == 3)
  }

  @Test("A file that changed between HEAD and GET is for the next attempt to ask for anew")
  func headAndGet() async throws {
    let server = try LoopbackServer.answering { request, send in
      FileAnswer(bytes: Self.old, headers: [Self.tags[request.method == "HEAD" ? 0 : 1]]).send(to: request, send)
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let remote = try await fetcher.describe(server)
    #expect(remote.contentKey != nil)
    do {
      _ = try await download(remote, fetcher)
      Issue.record("the download has the name of another version")
    } catch let failure as TransferFailure {
      #expect(failure.error.message.contains("changed after its server was asked for it"))
      #expect(failure.mayPass)
    }
    #expect(server.requests.count == 2)
  }

  @Test("Ranges of two versions are not read as one file", arguments: [tags, dates])
  func ranges(validators: [String]) async throws {
    let server = try LoopbackServer.answering { request, send in
      let isNew = request.header("Range")?.hasPrefix("bytes=5") == true
      FileAnswer(
        bytes: isNew ? Self.new : Self.old, headers: [validators[isNew ? 1 : 0]], heedsIfRange: false
      ).send(to: request, send)
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let remote = try await fetcher.describe(server)
    let error = await transferError { try await readTwice(remote, fetcher) }
    #expect(error?.message.contains("changed while it was read") == true)
    // Another attempt of a streamed job would meet the same.
    #expect(error.map { JobFailure($0).mayPass } == false)
  }

  @Test("A size that differs is another version, too")
  func size() async throws {
    let server = try LoopbackServer.answering { request, send in
      let isNew = request.header("Range")?.hasPrefix("bytes=5") == true
      FileAnswer(bytes: isNew ? Self.new + Data(count: 1) : Self.old).send(to: request, send)
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let remote = try await fetcher.describe(server)
    let error = await transferError { try await readTwice(remote, fetcher) }
    #expect(error?.message.contains("changed while it was read") == true)
  }

  @Test("A time of the last change is a validator only when it is old enough")
  func strongTimes() {
    func head(_ headers: [String: String]) -> TransferHead { TransferHead(status: 200, headers: headers) }
    let changed = "Thu, 01 Jan 2026 12:00:00 GMT"
    #expect(head(["last-modified": changed, "date": "Thu, 01 Jan 2026 12:01:00 GMT"]).validator == changed)
    #expect(head(["last-modified": changed, "date": "Thu, 01 Jan 2026 12:00:59 GMT"]).validator == nil)
    #expect(head(["last-modified": changed]).validator == nil)
    #expect(head(["etag": "W/\"1\""]).validator == nil)
    #expect(head(["etag": "\"1\"", "last-modified": changed]).validator == "\"1\"")
    #expect(!head([:]).isOther(than: "\"1\""))
    #expect(head(["etag": "\"2\""]).isOther(than: "\"1\""))
    #expect(!head(["etag": "\"2\"", "last-modified": changed]).isOther(than: changed))
  }

  @Test("URLs that differ in the query alone are two files, whatever tag and size they have")
  func queries() async throws {
    let server = try LoopbackServer.answering { request, send in
      FileAnswer(bytes: request.target.hasSuffix("v=1") ? Self.old : Self.new, headers: ["ETag: \"x\""])
        .send(to: request, send)
    }
    defer { server.stop() }
    let fixture = try HubFixture([:])
    let fetcher = try Fetcher.local()
    var resolver = fixture.resolver()
    resolver.fetcher = fetcher
    for (query, bytes) in [("v=1", Self.old), ("v=2", Self.new), ("v=1", Self.old)] {
      let remote = try await fetcher.describe(server, "/get?\(query)")
      #expect(remote.contentKey != nil)
      let reader = resolver
      #expect(try await onThread { try Data(reader.bytes(of: remote, limit: 1 << 20)) }.result.get() == bytes)
    }
    // Both stay in the cache.
    #expect(server.requests.count == 5)
  }

  @Test(
    "A range that is not the one that was asked for makes a download begin again",
    arguments: ["", "Content-Range: bytes 0-99999/100000\r\n", "Content-Range: bytes 60000-99999/100001\r\n"])
  func wrongRange(header: String) async throws {
    let gets = Mutex<[String?]>([])
    let server = try LoopbackServer.answering { request, send in
      let range = request.header("Range")
      if request.method != "HEAD" { gets.withLock { $0.append(range) } }
      let count = gets.withLock { $0.count }
      guard range != nil else {
        return FileAnswer(bytes: Self.old, headers: [Self.tags[0]], dropsAfter: count == 1 ? 60_000 : .max)
          .send(to: request, send)
      }
      send("HTTP/1.1 206 Partial Content\r\n\(header)Content-Length: 40000\r\nConnection: close\r\n\r\n")
      send(Self.new.prefix(40_000))
    }
    defer { server.stop() }
    let fetcher = try Fetcher.local()
    let remote = try await fetcher.describe(server)
    #expect(try await download(remote, fetcher) == Self.old)
    #expect(gets.withLock { $0 } == [nil, "bytes=60000-", nil])
  }
}
