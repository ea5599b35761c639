import Core
import Foundation
import SystemPackage

/// Downloaded files by their content, shared by all jobs, and by all processes that use the folder.
///
///     files/<key>      complete and checked
///     partial/<key>    being downloaded, or left by a process that died, to be taken up
///     locks/<key>      who downloads holds it alone, who uses the file shares it; the kernel drops both with the process
///
/// A file that nobody uses goes when the cache has grown too large, the one first whose last use is longest ago.
struct DownloadCache: Sendable {
  private let root: FilePath
  /// Bytes that the cache may keep beside what is in use.
  let limit: Int

  /// A file of the cache that stays as long as this value lives.
  final class Use: Sendable {
    let path: FilePath
    private let lock: CacheLock

    fileprivate init(path: FilePath, lock: CacheLock) {
      self.path = path
      self.lock = lock
    }
  }

  /// Creates the folders that are missing. Throws a Foundation error.
  init(root: FilePath, limit: Int) throws {
    self.root = root
    self.limit = limit
    for folder in ["files", "partial", "locks"] {
      try FileManager.default.createDirectory(
        atPath: root.appending(folder).string, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o750])
    }
  }

  private func path(_ folder: FilePath.Component, _ key: String) -> FilePath {
    root.appending(folder).appending(key)
  }

  /// True when the file need not be downloaded. Nothing keeps it from going in the next moment.
  func holds(_ key: String) -> Bool { access(path("files", key).string, R_OK) == 0 }

  /// Bytes of a file that an earlier try left. Complexity: O(1).
  func partialSize(_ key: String) -> Int { Self.size(path("partial", key)) ?? 0 }

  /// The file of a key; `download` makes it when it is not there. Two callers with one key download once.
  ///
  /// Blocks, looking for cancellation several times a second. Throws what `download` throws, or `.cancelled`.
  func file(
    _ key: String, isCancelled: @Sendable () -> Bool, download: (FilePath) throws(TransferFailure) -> Void
  ) throws(TransferFailure) -> Use {
    let target = path("files", key)
    while true {
      if isCancelled() { throw .cancelled }
      if holds(key) {
        let lock = try lock(key, .shared, isCancelled: isCancelled)
        // It may have gone before it was locked.
        guard holds(key) else { continue }
        utimensat(AT_FDCWD, target.string, nil, 0)
        return Use(path: target, lock: lock)
      }
      let lock = try lock(key, .exclusive, isCancelled: isCancelled)
      guard !holds(key) else { continue }
      let partial = path("partial", key)
      try download(partial)
      guard rename(partial.string, target.string) == 0 else { throw TransferFailure(writing: Errno(rawValue: errno)) }
      // From here on others may use it, and it must not go before this caller has.
      guard lock.share(), holds(key) else { continue }
      shrink()
      return Use(path: target, lock: lock)
    }
  }

  private func lock(
    _ key: String, _ mode: CacheLock.Mode, isCancelled: @Sendable () -> Bool
  ) throws(TransferFailure) -> CacheLock {
    while true {
      do {
        if let lock = try CacheLock(path: path("locks", key), mode) { return lock }
      } catch {
        throw TransferFailure(writing: error)
      }
      if isCancelled() { throw .cancelled }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  /// Removes files that nobody uses, the least recently used first, until the rest fits the limit. Partial files count.
  func shrink() {
    var entries: [(folder: FilePath.Component, key: String, size: Int, used: timespec)] = []
    for folder in ["files", "partial"] as [FilePath.Component] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(folder).string)) ?? []
      for name in names where !name.hasSuffix(".json") {
        var status = stat()
        guard stat(path(folder, name).string, &status) == 0 else { continue }
        entries.append((folder, name, Int(status.st_blocks) * 512, status.st_mtim))
      }
    }
    var total = entries.reduce(0) { $0 + $1.size }
    for entry in entries.sorted(by: { ($0.used.tv_sec, $0.used.tv_nsec) < ($1.used.tv_sec, $1.used.tv_nsec) }) {
      guard total > limit else { return }
      guard let lock = try? CacheLock(path: path("locks", entry.key), .exclusive) else { continue }
      unlink(path(entry.folder, entry.key).string)
      unlink(path(entry.folder, entry.key + ".json").string)
      lock.remove()
      total -= entry.size
    }
  }

  private static func size(_ path: FilePath) -> Int? {
    var status = stat()
    return stat(path.string, &status) == 0 ? Int(status.st_size) : nil
  }
}

/// A lock on one key, held until it is released or goes.
final class CacheLock: Sendable {
  enum Mode: Sendable { case shared, exclusive }

  private let path: FilePath
  private let file: FileDescriptor

  /// Takes the lock, or answers nil when somebody else holds it. Throws `Errno`.
  init?(path: FilePath, _ mode: Mode) throws {
    self.path = path
    file = try FileDescriptor.open(
      path, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
    // All members are set, so `deinit` runs and closes the file. Closed here as well, it would be somebody else's by then.
    guard flock(file.rawValue, (mode == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0, isInPlace else { return nil }
  }

  /// False when whoever held the lock before removed the file: then this one locks nothing that others see.
  private var isInPlace: Bool {
    var (held, named) = (stat(), stat())
    return fstat(file.rawValue, &held) == 0 && stat(path.string, &named) == 0 && held.st_ino == named.st_ino
  }

  deinit { try? file.close() }

  /// Lets others share what was held alone. False when somebody else got it in between: the kernel lets go first.
  func share() -> Bool { flock(file.rawValue, LOCK_SH | LOCK_NB) == 0 && isInPlace }

  /// Removes the lock with the file it protected. Only for whoever holds it alone.
  func remove() { unlink(path.string) }
}
