package import API
import Core
import Foundation
package import SystemPackage

/// Downloaded files by their content, shared by all jobs, and by all processes that use the folder.
///
///     files/<key>      complete and checked
///     partial/<key>    being downloaded, or left by a process that died, to be taken up
///     locks/<key>      who downloads holds it alone, who uses the file shares it; the kernel drops both with the process
///
/// A file that nobody uses goes when the cache has grown too large, the one first whose last use is longest ago.
package struct DownloadCache: Sendable {
  private let root: FilePath
  /// Bytes that the cache may keep beside what is in use.
  package let limit: Int

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
  package init(root: FilePath, limit: Int) throws {
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
  package func holds(_ key: String) -> Bool { access(path("files", key).string, R_OK) == 0 }

  /// Bytes of a file that an earlier try left. Complexity: O(1).
  func partialSize(_ key: String) -> Int { Self.size(path("partial", key)) ?? 0 }

  /// The file of a key; `download` makes it when it is not there. Two callers with one key download once.
  ///
  /// Blocks, looking for cancellation several times a second. On a full disk, files that nobody uses make room. Throws what
  /// `download` throws, or `.cancelled`.
  func file(
    _ key: String, isCancelled: @Sendable () -> Bool, download: (FilePath) throws(TransferFailure) -> Void
  ) throws(TransferFailure) -> Use {
    let target = path("files", key)
    while true {
      if isCancelled() { throw .cancelled }
      if holds(key) {
        // It may have gone before it was locked.
        guard let lock = try lock(key, .shared, while: { true }, isCancelled: isCancelled), holds(key) else { continue }
        utimensat(AT_FDCWD, target.string, nil, 0)
        return Use(path: target, lock: lock)
      }
      // Whoever downloads it now keeps it for a job that may need a file of ours: from then on it is shared.
      guard let lock = try lock(key, .exclusive, while: { !holds(key) }, isCancelled: isCancelled), !holds(key) else {
        continue
      }
      let partial = path("partial", key)
      do throws(TransferFailure) {
        try download(partial)
      } catch {
        guard error.error.kind == .diskFull else { throw error }
        // What nobody uses goes first, and the download goes on. The lock keeps its own beginning.
        if makeRoom(Self.returned) > 0 || makeRoom(1) > 0 { continue }
        giveBack(key)
        throw error
      }
      guard rename(partial.string, target.string) == 0 else { throw TransferFailure(writing: Errno(rawValue: errno)) }
      // From here on others may use it, and it must not go before this caller has.
      guard lock.share(), holds(key) else { continue }
      shrink()
      return Use(path: target, lock: lock)
    }
  }

  /// Waits for a lock as long as it is wanted; nil when it is not any more.
  private func lock(
    _ key: String, _ mode: CacheLock.Mode, while isWanted: () -> Bool, isCancelled: @Sendable () -> Bool
  ) throws(TransferFailure) -> CacheLock? {
    while isWanted() {
      do {
        if let lock = try CacheLock(path: path("locks", key), mode) { return lock }
      } catch {
        throw TransferFailure(writing: error)
      }
      if isCancelled() { throw .cancelled }
      Thread.sleep(forTimeInterval: 0.05)
    }
    return nil
  }

  // MARK: Making room

  /// A file that went, or would go.
  package struct Removed: Sendable, Hashable {
    package let key: String
    /// Bytes of disk.
    package let bytes: Int
    /// It was not complete.
    package let isPartial: Bool
  }

  private struct Entry {
    let folder: FilePath.Component
    let key: String
    let bytes: Int
    let used: timespec
  }

  /// All files, the least recently used first. Complexity: O(files log files).
  private func entries() -> [Entry] {
    var entries: [Entry] = []
    for folder in ["files", "partial"] as [FilePath.Component] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(folder).string)) ?? []
      for name in names where !name.hasSuffix(".json") {
        var status = stat()
        guard stat(path(folder, name).string, &status) == 0 else { continue }
        entries.append(
          Entry(folder: folder, key: name, bytes: Int(status.st_blocks) * 512, used: status.st_mtim))
      }
    }
    return entries.sorted { ($0.used.tv_sec, $0.used.tv_nsec) < ($1.used.tv_sec, $1.used.tv_nsec) }
  }

  /// Removes a file unless somebody uses it; then the answer is nil. With `isDryRun` it only looks.
  private func remove(_ entry: Entry, isDryRun: Bool) -> Removed? {
    guard let lock = try? CacheLock(path: path("locks", entry.key), .exclusive) else { return nil }
    if !isDryRun {
      unlink(path(entry.folder, entry.key).string)
      unlink(path(entry.folder, entry.key + ".json").string)
      lock.remove()
    }
    return Removed(key: entry.key, bytes: entry.bytes, isPartial: entry.folder == "partial")
  }

  /// Removes files that nobody uses until so many bytes of disk are free again, or nothing at all when that cannot be
  /// reached. Files with the keys `kept` stay. Answers how many bytes went.
  @discardableResult
  package func makeRoom(_ bytes: Int, keeping kept: Set<String> = []) -> Int {
    let candidates = entries().filter { !kept.contains($0.key) }
    let evictable = candidates.reduce(0) { $0 + (remove($1, isDryRun: true)?.bytes ?? 0) }
    guard bytes > 0, evictable >= bytes else { return 0 }
    var freed = 0
    for entry in candidates where freed < bytes { freed += remove(entry, isDryRun: false)?.bytes ?? 0 }
    return freed
  }

  /// Removes partial files that nobody wrote to since a moment, and then files that nobody uses, the least recently used
  /// first, until the rest fits the limit. Partial files count. Answers what went, or with `isDryRun` would go.
  @discardableResult
  package func shrink(partialsBefore moment: Timestamp? = nil, isDryRun: Bool = false) -> [Removed] {
    var removed: [Removed] = []
    var rest: [Entry] = []
    for entry in entries() {
      let isStale = moment.map { entry.folder == "partial" && entry.used.tv_sec < $0.milliseconds / 1000 } ?? false
      if isStale, let gone = remove(entry, isDryRun: isDryRun) { removed.append(gone) } else { rest.append(entry) }
    }
    var total = rest.reduce(0) { $0 + $1.bytes }
    for entry in rest where total > limit {
      guard let gone = remove(entry, isDryRun: isDryRun) else { continue }
      removed.append(gone)
      total -= gone.bytes
    }
    return removed
  }

  /// Bytes that a download which filled the disk gives back, so that the database and others can go on.
  private static let returned = 256 << 20

  /// Gives the end of a partial file back. What is left is taken up by the next try.
  private func giveBack(_ key: String) {
    let partial = path("partial", key)
    guard let size = Self.size(partial) else { return }
    truncate(partial.string, max(size - Self.returned, 0))
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
