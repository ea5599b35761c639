import NIOCore
import SystemPackage

/// A file open for positioned reads; closed with the last reference.
final class OpenFile: Sendable {
  private let descriptor: SystemPackage.FileDescriptor
  let size: Int

  init(_ path: FilePath) throws {
    descriptor = try SystemPackage.FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow])
    do {
      size = Int(try descriptor.seek(offset: 0, from: .end))
    } catch {
      try? descriptor.close()
      throw error
    }
  }

  deinit { try? descriptor.close() }

  /// At least one byte. Throws `Errno.ioError` when the file ends first.
  func read(at offset: Int, count: Int) throws -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    let done = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
      try descriptor.read(
        fromAbsoluteOffset: Int64(offset), into: UnsafeMutableRawBufferPointer(rebasing: space[..<count]))
    }
    guard done > 0 else { throw Errno.ioError }
    return buffer
  }
}
