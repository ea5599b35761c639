import Foundation
package import SystemPackage

extension FilePath {
  /// Puts the names in this folder on the disk, so that they outlive a power cut. Throws `Errno`.
  package func synchronizeFolder() throws {
    let descriptor = try FileDescriptor.open(self, .readOnly, options: [.directory, .closeOnExec])
    defer { try? descriptor.close() }
    guard fsync(descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
  }
}
