import Core
import Crypto
import Foundation
package import SystemPackage

/// The SHA-256 of the beginning of a file: how far it was hashed, and the state there. A value, to be kept and gone on with.
package struct PrefixDigest: Sendable {
  fileprivate var hash = SHA256()
  /// Bytes that were hashed.
  package fileprivate(set) var count = 0

  fileprivate mutating func update(_ bytes: UnsafeRawBufferPointer) {
    hash.update(bufferPointer: bytes)
    count += bytes.count
  }
}

/// The file of an upload, open for appending, and its digest so far. All calls block.
///
/// The digest is made from the bytes as they pass. After a restart it lags behind, since the state of a digest cannot be
/// stored: every `append` then reads some of what is missing back from the file, so that little is left for the end.
///
/// `@unchecked Sendable`: an owner awaits each call before it makes the next, so no two run at a time.
package final class UploadFile: @unchecked Sendable {
  private let descriptor: SystemPackage.FileDescriptor
  /// Bytes written.
  package private(set) var size: Int
  /// Of the first bytes, all of them unless the process was restarted in between.
  package private(set) var digest: PrefixDigest
  private var isOpen = true

  /// Bytes that are hashed in arrears for each byte that arrives: more than disks and links differ by, so that the
  /// arrears shrink, and little enough for the sender to see progress.
  private static let arrearsRate = 8
  /// Bytes hashed in one call of `hashArrears`.
  private static let turn = 64 << 20
  /// Bytes read back at once.
  private static let piece = 1 << 20

  /// Creates a file, which must not exist. Throws `Errno`.
  package init(creating path: FilePath) throws {
    descriptor = try SystemPackage.FileDescriptor.open(
      path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: [.ownerReadWrite, .groupRead])
    size = 0
    digest = PrefixDigest()
  }

  /// Opens a file to go on at `size`, cutting off what follows; `digest` may lag behind. Throws `Errno`.
  package init(resuming path: FilePath, at size: Int, digest: PrefixDigest?) throws {
    descriptor = try SystemPackage.FileDescriptor.open(path, .readWrite, options: [.closeOnExec, .noFollow])
    guard ftruncate(descriptor.rawValue, off_t(size)) == 0 else {
      let code = errno
      try? descriptor.close()
      throw Errno(rawValue: code)
    }
    self.size = size
    self.digest = digest.flatMap { $0.count <= size ? $0 : nil } ?? PrefixDigest()
  }

  deinit { if isOpen { try? descriptor.close() } }

  /// Writes bytes at the end.
  package func append(_ bytes: UnsafeRawBufferPointer) throws {
    _ = try descriptor.writeAll(toAbsoluteOffset: Int64(size), bytes)
    if digest.count == size { digest.update(bytes) }
    size += bytes.count
    try hashArrears(atMost: bytes.count * Self.arrearsRate)
  }

  /// Puts what was written on the disk, its length included.
  package func synchronize() throws {
    guard isOpen else { throw Errno.badFileDescriptor }
    guard fdatasync(descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
  }

  /// Cuts the file back to `size` bytes with the digest that it had there.
  package func roll(backTo size: Int, digest: PrefixDigest) throws {
    guard isOpen else { throw Errno.badFileDescriptor }
    guard ftruncate(descriptor.rawValue, off_t(size)) == 0 else { throw Errno(rawValue: errno) }
    self.size = size
    self.digest = digest
  }

  /// Hashes some of what the digest lags behind; false when there was nothing to do.
  package func hashArrears() throws -> Bool {
    guard digest.count < size else { return false }
    try hashArrears(atMost: Self.turn)
    return true
  }

  /// Syncs and closes; answers the SHA-256 of the whole in hexadecimal. Complexity: O(arrears).
  package func close() throws -> String {
    try hashArrears(atMost: .max)
    try synchronize()
    isOpen = false
    try descriptor.close()
    return digest.hash.finalize().hexadecimal
  }

  private func hashArrears(atMost limit: Int) throws {
    var rest = min(limit, size - digest.count)
    guard rest > 0 else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(Self.piece, rest), alignment: 16)
    defer { buffer.deallocate() }
    while rest > 0 {
      let space = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, rest)])
      let count = try descriptor.read(fromAbsoluteOffset: Int64(digest.count), into: space)
      guard count > 0 else { throw Errno.ioError }
      digest.update(UnsafeRawBufferPointer(rebasing: space[..<count]))
      rest -= count
    }
  }
}
