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

@Suite("Download cache")
struct DownloadCacheTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func cache(limit: Int = 1 << 30) throws -> DownloadCache {
    try DownloadCache(root: folder.path.appending("cache"), limit: limit)
  }

  private func add(_ key: String, bytes: Int = 8192, to cache: DownloadCache) throws -> DownloadCache.Use {
    try cache.file(key, isCancelled: { false }) { (path) throws(TransferFailure) in
      do { try Data(count: bytes).write(to: URL(filePath: path.string)) } catch {
        throw TransferFailure(writing: error)
      }
    }
  }

  private final class Counter: Sendable {
    let value = Mutex(0)
  }

  private static func use(_ cache: DownloadCache, _ counter: Counter) async -> String? {
    try? await onThread {
      try cache.file("sha256-a", isCancelled: { false }) { (path) throws(TransferFailure) in
        counter.value.withLock { $0 += 1 }
        Thread.sleep(forTimeInterval: 0.2)
        do { try Data("x".utf8).write(to: URL(filePath: path.string)) } catch { throw TransferFailure(writing: error) }
      }.path.string
    }.result.get()
  }

  @Test("Eight users of one file download it once")
  func singleFlight() async throws {
    let cache = try cache()
    let counter = Counter()
    let paths = await withTaskGroup(of: String?.self) { group in
      for _ in 0..<8 { group.addTask { await Self.use(cache, counter) } }
      return await group.reduce(into: Set<String?>()) { $0.insert($1) }
    }
    #expect(counter.value.withLock { $0 } == 1)
    #expect(paths.count == 1 && !paths.contains(nil))
  }

  private final class Flags: Sendable {
    let isWaiting = Atomic(false)
    let hasEnded = Atomic(false)
  }

  /// Two jobs of the same two files, each of which downloads one, would otherwise wait for each other for ever.
  @Test("Who waited for a download has the file while the other one still uses it")
  func sharing() async throws {
    let cache = try cache()
    let flags = Flags()
    async let other = onThread {
      while !flags.isWaiting.load(ordering: .acquiring) { Thread.sleep(forTimeInterval: 0.01) }
      let use = try cache.file("sha256-a", isCancelled: { flags.hasEnded.load(ordering: .acquiring) }) {
        (_) throws(TransferFailure) in
        throw TransferFailure("it is downloaded already")
      }
      return cache.holds("sha256-a") && use.path.string.hasSuffix("sha256-a")
    }
    let use = try await onThread {
      try cache.file("sha256-a", isCancelled: { false }) { (path) throws(TransferFailure) in
        flags.isWaiting.store(true, ordering: .releasing)
        Thread.sleep(forTimeInterval: 0.5)
        do { try Data("x".utf8).write(to: URL(filePath: path.string)) } catch { throw TransferFailure(writing: error) }
      }
    }.result.get()
    let watch = Task {
      try await Task.sleep(for: .seconds(20))
      flags.hasEnded.store(true, ordering: .releasing)
    }
    #expect(try await other.result.get())
    watch.cancel()
    withExtendedLifetime(use) {}
  }

  @Test("A lock that is taken leaves the descriptors of others alone")
  func refusedLock() async throws {
    let path = folder.path.appending("x.lock")
    let lock = try #require(try CacheLock(path: path, .exclusive))
    let lost = await DescriptorWatch.lost { _ = try? CacheLock(path: path, .shared) }
    #expect(lost == 0)
    withExtendedLifetime(lock) {}
  }

  @Test("The least recently used goes first, and what is in use stays")
  func eviction() throws {
    let cache = try cache(limit: 20_000)
    let first = try add("first", to: cache)
    do { _ = try add("second", to: cache) }
    do { _ = try add("third", to: cache) }
    // 24 KiB: the oldest that is not in use went.
    #expect(cache.holds("first"))
    #expect(!cache.holds("second"))
    #expect(cache.holds("third"))
    withExtendedLifetime(first) {}
    do { _ = try add("third", to: cache) }
    cache.shrink()
    #expect(cache.holds("first"))
  }

  @Test("Room is made of what nobody uses, the least recently used first, or not at all")
  func room() throws {
    let cache = try cache()
    let used = try add("used", to: cache)
    for key in ["a", "b", "c", "kept"] { _ = try add(key, to: cache) }
    #expect(cache.makeRoom(1 << 20) == 0)
    #expect(["used", "a", "b", "c", "kept"].allSatisfy(cache.holds))
    #expect(cache.makeRoom(9000, keeping: ["kept"]) == 16_384)
    #expect(["used", "c", "kept"].allSatisfy(cache.holds) && !cache.holds("a") && !cache.holds("b"))
    #expect(cache.makeRoom(9000, keeping: ["kept"]) == 0)
    withExtendedLifetime(used) {}
  }

  @Test("On a full disk what nobody uses goes and the download goes on; when nothing is left, it gives its end back")
  func fullDisk() throws {
    let cache = try cache()
    _ = try add("old", to: cache)
    let tries = Mutex(0)
    func fail(_ path: FilePath, bytes: Int, while isFull: () -> Bool) throws(TransferFailure) {
      tries.withLock { $0 += 1 }
      guard FileManager.default.createFile(atPath: path.string, contents: nil),
        truncate(path.string, bytes) == 0
      else { throw TransferFailure("no file") }
      if isFull() { throw TransferFailure(writing: Errno.noSpace) }
    }
    let use = try cache.file("new", isCancelled: { false }) { (path) throws(TransferFailure) in
      try fail(path, bytes: 100) { cache.holds("old") }
    }
    #expect(tries.withLock { $0 } == 2)
    #expect(cache.holds("new") && !cache.holds("old"))
    #expect(throws: TransferFailure.self) {
      try cache.file("large", isCancelled: { false }) { (path) throws(TransferFailure) in
        try fail(path, bytes: 1 << 30) { true }
      }
    }
    #expect(cache.partialSize("large") == 1 << 30 - 256 << 20)
    withExtendedLifetime(use) {}
  }

  @Test("Partial files that nobody goes on with go after their time; a look changes nothing")
  func stale() throws {
    let cache = try cache()
    for key in ["old", "new"] {
      _ = try? cache.file(key, isCancelled: { false }) { (path) throws(TransferFailure) in
        for name in [path.string, path.string + ".json"] {
          _ = FileManager.default.createFile(atPath: name, contents: Data(count: 5000))
        }
        throw TransferFailure("cancelled")
      }
    }
    let path = folder.path.appending("cache/partial")
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: path.appending("old").string)
    let moment = Timestamp.now.advanced(by: .seconds(-3600))
    let expected = [DownloadCache.Removed(key: "old", bytes: 8192, isPartial: true)]
    #expect(cache.shrink(partialsBefore: moment, isDryRun: true) == expected)
    #expect(cache.partialSize("old") == 5000)
    #expect(cache.shrink(partialsBefore: moment) == expected)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: path.string).sorted() == ["new", "new.json"])
  }

  @Test("When everything is in use, nothing goes until it is not")
  func allInUse() throws {
    let cache = try cache(limit: 0)
    var uses = [try add("a", to: cache), try add("b", to: cache)]
    cache.shrink()
    #expect(cache.holds("a") && cache.holds("b"))
    uses.removeFirst()
    cache.shrink()
    #expect(!cache.holds("a") && cache.holds("b"))
    withExtendedLifetime(uses) {}
  }

  @Test("A failed download leaves nothing complete, and the next one tries")
  func failure() throws {
    let cache = try cache()
    #expect(throws: TransferFailure.self) {
      try cache.file("k", isCancelled: { false }) { (_) throws(TransferFailure) in throw TransferFailure("no") }
    }
    #expect(!cache.holds("k"))
    _ = try add("k", to: cache)
    #expect(cache.holds("k"))
  }

  @Test("Waiting for another download ends when it is cancelled")
  func cancelled() async throws {
    let cache = try cache()
    let isBusy = Mutex(false)
    async let slow = onThread {
      try cache.file("k", isCancelled: { false }) { (path) throws(TransferFailure) in
        isBusy.withLock { $0 = true }
        Thread.sleep(forTimeInterval: 1)
        do { try Data().write(to: URL(filePath: path.string)) } catch { throw TransferFailure(writing: error) }
      }.path
    }
    #expect(await eventually { isBusy.withLock { $0 } })
    let (result, time) = await onThread {
      try cache.file("k", isCancelled: { true }) { (_) throws(TransferFailure) in throw TransferFailure("not here") }
        .path
    }
    #expect(throws: TransferFailure.self) { try result.get() }
    #expect(time < .seconds(1))
    _ = try await slow.result.get()
  }
}
