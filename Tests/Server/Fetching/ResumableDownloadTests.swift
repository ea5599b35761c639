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

@Suite("Resumable downloads")
struct ResumableDownloadTests {
  private static let weights = someBytes(300_000)

  private func fixture(limits: (inout Fetcher.Limits) -> Void = { _ in }) throws -> HubFixture {
    try HubFixture(["model.bin": .large(Self.weights), "config.json": .small("{\"a\": 1}")], limits: limits)
  }

  @Test("Dropped connections are taken up where they dropped, however many, and no byte comes twice")
  func drops() async throws {
    let fixture = try fixture { $0.attempts = 2 }
    fixture.hub.script { $0.isStore ? .drop(after: 40_000) : nil }
    let remote = try await fixture.file("model.bin")
    #expect(try await fixture.download(remote) == Self.weights)
    let ranges = fixture.hub.requests.filter(\.isStore).map(\.range)
    #expect(ranges.first == .some(nil))
    #expect(ranges.count == 8)
    #expect(fixture.hub.bytesSent("model.bin") == Self.weights.count)
    // The digest decides, and no tag of the store.
    #expect(fixture.hub.requests.filter(\.isStore).allSatisfy { $0.ifRange == nil })
  }

  @Test("What an earlier process left is taken up; what is of another version is not")
  func restarts() async throws {
    let fixture = try fixture { $0.attempts = 1 }
    let dropsOnce: @Sendable (TestHub.Request) -> TestHub.Fault? = { request in
      guard request.isStore else { return nil }
      return request.index == 0 ? .drop(after: 100_000) : .status(404, [:])
    }
    fixture.hub.script(dropsOnce)
    let remote = try await fixture.file("model.bin")
    #expect(await transferError { try await fixture.download(remote) }?.kind == .fetchFailed)
    fixture.hub.script { _ in nil }
    fixture.hub.reset()
    #expect(try await fixture.download(remote) == Self.weights)
    #expect(fixture.hub.requests.filter(\.isStore).map(\.range) == ["bytes=100000-"])
    #expect(fixture.hub.bytesSent("model.bin") == 200_000)
    // No note is left beside a complete file.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path.string).sorted() == ["cache", "file"])

    let other = someBytes(300_000, seed: 2)
    fixture.hub.reset()
    fixture.hub.script(dropsOnce)
    _ = await transferError { try await fixture.download(remote, to: "second") }
    fixture.hub.change(HubFixture.repository) { $0.files["model.bin"] = .large(other) }
    fixture.hub.script { _ in nil }
    fixture.hub.reset()
    #expect(try await fixture.download(fixture.file("model.bin"), to: "second") == other)
    #expect(fixture.hub.bytesSent("model.bin") == 300_000)
  }

  @Test("A server that answers a range with the whole file makes it begin again")
  func wholeForRange() async throws {
    let fixture = try fixture()
    fixture.hub.script { request in
      guard request.isStore else { return nil }
      return request.index == 0 ? .drop(after: 100_000) : .ignoreRange
    }
    #expect(try await fixture.download(fixture.file("model.bin")) == Self.weights)
    #expect(fixture.hub.bytesSent("model.bin") == 400_000)
  }

  @Test("Bytes of another digest are fetched once more, and never used")
  func corrupt() async throws {
    let fixture = try fixture()
    fixture.hub.script { $0.isStore && $0.index == 0 ? .corrupt : nil }
    let remote = try await fixture.file("model.bin")
    #expect(try await fixture.download(remote) == Self.weights)
    fixture.hub.reset()
    fixture.hub.script { $0.isStore ? .corrupt : nil }
    let error = await transferError { try await fixture.download(remote, to: "second") }
    #expect(error?.message.contains("SHA-256") == true)
    #expect(fixture.hub.requests.filter(\.isStore).count == 2)
  }

  @Test("Sizes that contradict each other are refused", arguments: [10, 299_999, 300_001])
  func lies(size: Int) async throws {
    let fixture = try fixture { $0.attempts = 2 }
    fixture.hub.script { $0.isStore ? nil : .lie(size: size) }
    let remote = try await fixture.file("model.bin")
    #expect(remote.size == size)
    let error = await transferError { try await fixture.download(remote) }
    #expect(error?.kind == .fetchFailed)
    #expect(error?.message.contains("\(size)") == true)
    fixture.hub.script { $0.isStore ? .lie(size: size) : nil }
    let honest = try await fixture.file("model.bin")
    #expect(await transferError { try await fixture.download(honest, to: "second") }?.kind == .fetchFailed)
  }

  @Test("A stall is noticed, and the rest is fetched")
  func stall() async throws {
    let fixture = try fixture { $0.stallSeconds = 1 }
    fixture.hub.script { $0.isStore && $0.index == 0 ? .stall(after: 50_000, seconds: 10) : nil }
    #expect(try await fixture.download(fixture.file("model.bin")) == Self.weights)
    #expect(fixture.hub.bytesSent("model.bin") == 300_000)
  }

  @Test("Small files have no digest; their size counts")
  func small() async throws {
    let fixture = try fixture()
    #expect(try await fixture.download(fixture.file("config.json")) == Data("{\"a\": 1}".utf8))
  }

  @Test("Edges of a content network that give one file different tags are one store")
  func edges() async throws {
    let fixture = try fixture()
    let edges = Mutex(0)
    fixture.hub.tags { _ in
      let edge = edges.withLock { edges in
        edges += 1
        return edges
      }
      return "\"\(edge)\""
    }
    fixture.hub.script { $0.isStore && $0.index < 2 ? .drop(after: 100_000) : nil }
    let remote = try await fixture.file("model.bin")
    #expect(try await fixture.download(remote) == Self.weights)
    #expect(fixture.hub.bytesSent("model.bin") == Self.weights.count)
    fixture.hub.script { _ in nil }
    let fetcher = fixture.fetching.hub.fetcher
    let parts = try await onThread {
      let bytes = RemoteBytes(remote, size: 300_000, fetcher: fetcher, isCancelled: { false })
      let file = InputFile(path: "model.bin", bytes: bytes)
      return try [7, 200_000].map { Data(try file.bytes(at: $0, count: 10)) }
    }.result.get()
    #expect(parts == [Self.weights[7..<17], Self.weights[200_000..<200_010]])
  }

  @Test("Ranges are read exactly, through drops and expired signatures", arguments: [400, 401, 403, 404, 410])
  func ranges(expired: Int) async throws {
    let fixture = try fixture()
    fixture.hub.script { request in
      guard request.isStore else { return nil }
      switch request.index {
      case 1: return .drop(after: 1000)
      case 3: return .status(expired, [:])
      default: return nil
      }
    }
    let remote = try await fixture.file("model.bin")
    let fetcher = fixture.fetching.hub.fetcher
    let parts = try await onThread {
      let bytes = RemoteBytes(remote, size: 300_000, fetcher: fetcher, isCancelled: { false })
      var parts: [Data] = []
      for (offset, count) in [(0, 10), (5000, 20_000), (299_990, 10), (77, 1000)] {
        var part = Data(count: count)
        let result = part.withUnsafeMutableBytes { buffer in
          Result { () throws(ConversionError) in try bytes.read(at: offset, into: buffer) }
        }
        try result.get()
        parts.append(part)
      }
      return parts
    }.result.get()
    #expect(
      parts == [Self.weights[0..<10], Self.weights[5000..<25_000], Self.weights[299_990...], Self.weights[77..<1077]])
    #expect(fixture.hub.bytesSent("model.bin") == 10 + 20_000 + 10 + 1000)
    // The head brought the first redirect; another was asked for when its signature was over.
    #expect(fixture.hub.requests.count { !$0.isStore && $0.method == "GET" } == 1)
  }

  @Test("A server without ranges is not read in ranges")
  func noRanges() async throws {
    let fixture = try fixture()
    fixture.hub.script { $0.isStore ? .ignoreRange : nil }
    let remote = try await fixture.file("model.bin")
    let fetcher = fixture.fetching.hub.fetcher
    let error = await transferError {
      try await onThread {
        let bytes = RemoteBytes(remote, size: 300_000, fetcher: fetcher, isCancelled: { false })
        try withUnsafeTemporaryAllocation(byteCount: 10, alignment: 1) { try bytes.read(at: 0, into: $0) }
      }.result.get()
    }
    #expect(error?.message.contains("does not serve ranges") == true)
  }
}
