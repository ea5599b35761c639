package import API
import Foundation
import Inputs
package import SystemPackage

/// The files of one server. The only place that knows paths.
///
///     zooport.sqlite        jobs, uploads, outputs
///     folder.id             which database belongs to the files
///     lock                  held while a server runs
///     uploads/<id>/<name>   complete uploads
///     outputs/<job>/<name>  outputs of succeeded jobs, a folder each, with one for each component of a model
///     incoming/<id>/<name>  uploads being received
///     partial/<id>/<name>   uploads that are sent in several requests
///     cache/                downloaded files by their content, and what is being downloaded
///     token.key             what seals the tokens of jobs
///     work/<job>.<fence>/   one attempt of a job: inputs, and outputs until they are published
///
/// A folder moves from `incoming`, `partial` or `work` to its place by one rename. All calls block.
package struct DataFolder: Sendable {
  package let root: FilePath

  /// Creates the folders that are missing. Throws `Unusable`.
  package init(root: FilePath) throws {
    self.root = root
    do {
      for folder in [uploads, outputs, incoming, partial, work] { try Self.create(folder) }
    } catch {
      throw Unusable(root: root, reason: error)
    }
  }

  /// The folders cannot be made.
  struct Unusable: Error, CustomStringConvertible {
    let root: FilePath
    let reason: any Error

    var description: String {
      let cause = (reason as? CocoaError)?.underlying as? POSIXError
      let text = cause.map { Errno(rawValue: $0.code.rawValue).description } ?? "\(reason)"
      return "\(root) cannot be the data folder: \(text)"
    }
  }

  package var database: FilePath { root.appending("zooport.sqlite") }
  /// Names the folder, as its database does.
  package var identity: FilePath { root.appending("folder.id") }
  /// The folders whose files the database knows.
  package var keepers: [FilePath] { [uploads, partial, outputs] }
  package var lock: FilePath { root.appending("lock") }
  /// The folder of the download cache.
  package var cache: FilePath { root.appending("cache") }
  /// The key that seals tokens and webhook secrets of jobs.
  package var tokenKey: FilePath { root.appending("token.key") }
  private var uploads: FilePath { root.appending("uploads") }
  private var outputs: FilePath { root.appending("outputs") }
  private var incoming: FilePath { root.appending("incoming") }
  private var partial: FilePath { root.appending("partial") }
  private var work: FilePath { root.appending("work") }

  /// The file of an upload.
  package func upload(_ id: Identifier, _ name: FileName) -> FilePath {
    uploads.appending(id.description).appending(name.file)
  }

  /// The file of an output.
  package func output(_ job: Identifier, _ name: FileName) -> FilePath {
    outputs.appending(job.description).appending(name.description)
  }

  /// A new folder for an upload that is being received, and the path of the file in it.
  package func makeIncoming(_ id: Identifier, _ name: FileName) throws -> FilePath {
    let folder = incoming.appending(id.description)
    try Self.create(folder)
    return folder.appending(name.file)
  }

  /// Moves a received file to its place. The content must be synced.
  package func acceptIncoming(_ id: Identifier) throws {
    try Self.move(incoming.appending(id.description), to: uploads.appending(id.description))
  }

  /// Removes what was received of an upload.
  package func discardIncoming(_ id: Identifier) { Self.remove(incoming.appending(id.description)) }

  /// The file of an unfinished upload.
  package func partial(_ id: Identifier, _ name: FileName) -> FilePath {
    partial.appending(id.description).appending(name.file)
  }

  /// Makes the folder and the empty file of an unfinished upload.
  package func makePartial(_ id: Identifier, _ name: FileName) throws {
    let path = self.partial(id, name)
    try Self.create(path.removingLastComponent())
    _ = try UploadFile(creating: path).close()
    try path.removingLastComponent().synchronizeFolder()
    try partial.synchronizeFolder()
  }

  /// Moves a finished upload to its place. The content must be synced.
  package func acceptPartial(_ id: Identifier) throws {
    try Self.move(partial.appending(id.description), to: uploads.appending(id.description))
  }

  /// Takes back `acceptPartial`, if it did anything.
  package func returnPartial(_ id: Identifier) {
    Self.moveBack(uploads.appending(id.description), to: partial.appending(id.description))
  }

  /// Removes what was received of an unfinished upload.
  package func removePartial(_ id: Identifier) { Self.remove(partial.appending(id.description)) }

  /// Removes an upload that has no record any more.
  package func removeUpload(_ id: Identifier) { Self.remove(uploads.appending(id.description)) }

  /// A new, empty folder for an attempt.
  func makeAttempt(_ lease: Lease) throws -> AttemptFolder {
    let folder = AttemptFolder(root: attempt(lease))
    Self.remove(folder.root)
    for part in [folder.config, folder.checkpoint, folder.carried, folder.outputs] { try Self.create(part) }
    return folder
  }

  /// Moves the outputs of an attempt to their place. A folder that a crash left there is replaced.
  package func publish(_ lease: Lease) throws {
    let target = outputs.appending(lease.job.description)
    Self.remove(target)
    try Self.move(AttemptFolder(root: attempt(lease)).outputs, to: target)
  }

  /// Takes back `publish`, if it did anything.
  func withdraw(_ lease: Lease) {
    Self.moveBack(outputs.appending(lease.job.description), to: AttemptFolder(root: attempt(lease)).outputs)
  }

  /// Gives a job the outputs of another, those that its record names: hard links, which cost no space and outlive the other
  /// job. Answers false, and leaves nothing, when a file is missing, has another size or cannot be linked.
  package func share(_ files: [JobOutput], of other: Identifier, with job: Identifier) -> Bool {
    guard !files.isEmpty else { return false }
    let target = outputs.appending(job.description)
    do {
      Self.remove(target)
      try Self.create(target)
      var folders: Set<FilePath> = []
      for file in files {
        let (original, copy) = (output(other, file.name), output(job, file.name))
        if file.name.component != nil, folders.insert(copy.removingLastComponent()).inserted {
          try Self.create(copy.removingLastComponent())
        }
        guard link(original.string, copy.string) == 0 else { throw Errno(rawValue: errno) }
        var status = stat()
        guard stat(copy.string, &status) == 0, Int(status.st_size) == file.size else { throw Errno.ioError }
      }
      for folder in folders { try folder.synchronizeFolder() }
      try target.synchronizeFolder()
      try outputs.synchronizeFolder()
      return true
    } catch {
      Self.remove(target)
      return false
    }
  }

  /// Removes what an attempt left.
  func removeAttempt(_ lease: Lease) { Self.remove(attempt(lease)) }

  /// Removes the outputs of a job that has no record any more.
  package func removeOutputs(of job: Identifier) { Self.remove(outputs.appending(job.description)) }

  /// Bytes of disk that are free once the outputs of a job are gone, after everything that `links` has met.
  func outputBytes(of job: Identifier, after links: inout FileLinks) -> Int {
    links.bytes(of: outputs.appending(job.description))
  }

  /// The same for an upload.
  func uploadBytes(_ id: Identifier, after links: inout FileLinks) -> Int {
    links.bytes(of: uploads.appending(id.description))
  }

  /// The same for an unfinished upload.
  func partialBytes(_ id: Identifier, after links: inout FileLinks) -> Int {
    links.bytes(of: partial.appending(id.description))
  }

  /// Removes leftovers of a process that was killed: everything half done, and folders without a record.
  /// Answers how many folders went. Only before workers and listener start.
  package func sweep(uploads known: Set<Identifier>, partials: Set<Identifier>, succeeded: Set<Identifier>) throws
    -> Int
  {
    var count = 0
    // A crash between the move of a finished upload and the commit of its record: it is unfinished still.
    for id in partials.subtracting(known) { returnPartial(id) }
    for (folder, isKept) in [
      (incoming, { _ in false }), (work, { _ in false }),
      (partial, { Identifier($0).map(partials.contains) ?? false }),
      (uploads, { Identifier($0).map(known.contains) ?? false }),
      (outputs, { Identifier($0).map(succeeded.contains) ?? false }),
    ] as [(FilePath, (String) -> Bool)] {
      for name in try FileManager.default.contentsOfDirectory(atPath: folder.string) where !isKept(name) {
        Self.remove(folder.appending(name))
        count += 1
      }
    }
    return count
  }

  private func attempt(_ lease: Lease) -> FilePath { work.appending("\(lease.job).\(lease.fence)") }

  private static func create(_ folder: FilePath) throws {
    try FileManager.default.createDirectory(
      atPath: folder.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
  }

  private static func remove(_ folder: FilePath) { try? FileManager.default.removeItem(atPath: folder.string) }

  /// Renames a folder, having synced it and syncing both parents after, so that a power cut leaves it in one place.
  private static func move(_ source: FilePath, to target: FilePath) throws {
    try source.synchronizeFolder()
    guard rename(source.string, target.string) == 0 else { throw Errno(rawValue: errno) }
    try target.removingLastComponent().synchronizeFolder()
    try source.removingLastComponent().synchronizeFolder()
  }

  /// Takes back a move. Nothing happens when it was not made. What cannot be moved back the next start sweeps.
  private static func moveBack(_ place: FilePath, to origin: FilePath) {
    guard access(place.string, F_OK) == 0, access(origin.string, F_OK) != 0 else { return }
    try? move(place, to: origin)
  }
}

/// How many links to each file were met among those that go. A file takes room until its last one is gone.
struct FileLinks {
  private struct File: Hashable {
    let device: dev_t
    let inode: ino_t
  }

  private var met: [File: Int] = [:]

  /// Bytes of disk of the files in a folder and its folders whose last link is in it. Nothing when there is no such folder.
  mutating func bytes(of folder: FilePath) -> Int {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder.string)) ?? []
    var sum = 0
    for name in names {
      var status = stat()
      guard lstat(folder.appending(name).string, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { continue }
      let file = File(device: status.st_dev, inode: status.st_ino)
      met[file, default: 0] += 1
      if met[file, default: 0] == Int(status.st_nlink) { sum += Int(status.st_blocks) * 512 }
    }
    return sum
  }
}

/// The folder of one attempt.
package struct AttemptFolder: Sendable {
  package let root: FilePath

  package init(root: FilePath) {
    self.root = root
  }
  /// The config, alone.
  package var config: FilePath { root.appending("config") }
  /// The files of the checkpoint, side by side as an index file expects its shards.
  package var checkpoint: FilePath { root.appending("checkpoint") }
  /// Files that go to the outputs as they are.
  package var carried: FilePath { root.appending("carried") }
  /// Where the conversion writes.
  package var outputs: FilePath { root.appending("outputs") }
}
