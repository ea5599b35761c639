import Foundation
package import SystemPackage

/// Keeps a second server away from a data folder. The kernel drops the lock when the process ends, however it ends.
package final class FolderLock: Sendable {
  private let descriptor: FileDescriptor

  /// Takes the lock. Throws `FolderLock.Taken` when another process has it, `Errno` when the file cannot be made.
  package init(path: FilePath) throws {
    descriptor = try FileDescriptor.open(
      path, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerReadWrite])
    // The descriptor is set, so `deinit` runs and closes it. Closed here as well, it would be somebody else's by then.
    guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
      throw Taken(folder: path.removingLastComponent())
    }
  }

  deinit {
    // A child process between fork and exec shares the open file, and would keep the lock for a moment.
    flock(descriptor.rawValue, LOCK_UN)
    try? descriptor.close()
  }

  /// Another server works in the folder.
  package struct Taken: Error, CustomStringConvertible {
    package let folder: FilePath
    package var description: String { "another zooport serves the data folder \(folder)" }
  }
}
