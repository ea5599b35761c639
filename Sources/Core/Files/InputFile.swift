import CLinux
import Glibc
import SystemPackage

/// A file open for positioned reads, on the disk or elsewhere. Closed when the last reference goes.
///
/// Safe to use from several threads: reads carry their own offset and no position is shared.
package final class InputFile: Sendable {
  /// The path as the user gave it, or another name, for messages.
  package let path: String
  /// Bytes when the file was opened.
  package let size: Int
  /// The descriptor, for calls such as `copy_file_range`; nil unless the file is on the disk. Do not close it.
  let descriptor: FileDescriptor?
  /// True for a file that may have holes: it takes less room on the disk than it has bytes.
  private let isSparse: Bool
  /// The bytes of a file that is elsewhere, through a small cache.
  private let remote: BlockCache?
  /// Bytes that would have to be downloaded first if the file were wanted on the disk.
  package let missing: Int

  /// Opens bytes that are not on the disk. `path` names them in messages, and as an input its last component does.
  /// `missing` is how many of them a download would bring; nil stands for all.
  package init(path: String, bytes: any RandomAccessBytes, missing: Int? = nil) {
    self.path = path
    size = bytes.size
    self.missing = missing ?? bytes.size
    descriptor = nil
    isSparse = false
    remote = BlockCache(bytes)
  }

  /// True when the bytes are not on the disk: reading costs requests, and many small reads are to be avoided.
  package var isRemote: Bool { remote != nil }

  /// SHA-256 of the file, when whoever keeps it states it.
  var statedSHA256: String? { remote?.source.sha256 }

  /// Opens a regular file. `name` is what messages call it instead of its path.
  ///
  /// Throws `ConversionError` with `.unreadableInput` when it does not exist, may not be read, or is no regular file, and one
  /// that may pass when the process or the machine has too many files open.
  package init(path file: String, name: String? = nil) throws(ConversionError) {
    path = name ?? file
    remote = nil
    missing = 0
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(FilePath(file), .readOnly, options: [.closeOnExec])
    } catch {
      if error as? Errno == .noSuchFileOrDirectory, let target = Self.danglingTarget(file) {
        throw ConversionError(
          .unreadableInput, "\(path) is a link to \(target), which does not exist; download the file again")
      }
      let isCrowded = error as? Errno == .tooManyOpenFiles || error as? Errno == .tooManyOpenFilesInSystem
      throw ConversionError(
        isCrowded ? .internal : .unreadableInput, "\(path) cannot be opened: \(error)", mayPass: isCrowded)
    }
    do {
      // The offset of the end is the size for regular files; directories and pipes fail here or on the first read.
      size = Int(try descriptor.seek(offset: 0, from: .end))
    } catch {
      try? descriptor.close()
      throw ConversionError(.unreadableInput, "\(path) is not a regular file")
    }
    // Seeking to the end of a directory yields a huge number on some file systems and 0 on others.
    var probe: UInt8 = 0
    do {
      _ = try withUnsafeMutableBytes(of: &probe) { try descriptor.read(fromAbsoluteOffset: 0, into: $0) }
    } catch {
      try? descriptor.close()
      throw ConversionError(.unreadableInput, "\(path) cannot be read: \(error)")
    }
    self.descriptor = descriptor
    var status = stat()
    isSparse = fstat(descriptor.rawValue, &status) == 0 && Int(status.st_blocks) * 512 < size
  }

  /// Where a symbolic link leads that leads nowhere; nil for everything else.
  private static func danglingTarget(_ path: String) -> String? {
    var target = [UInt8](repeating: 0, count: 4_096)
    let count = target.withUnsafeMutableBytes { buffer in
      buffer.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), buffer.count) } ?? 0
    }
    return count > 0 ? String(decoding: target.prefix(count), as: UTF8.self) : nil
  }

  deinit { try? descriptor?.close() }

  /// Fills the whole buffer from an absolute offset.
  ///
  /// Throws `ConversionError` with `.unreadableInput` on a read error or when the file ends first.
  package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    guard let descriptor else {
      guard offset >= 0, buffer.count <= size, offset <= size - buffer.count else {
        throw ConversionError(.unreadableInput, "\(path) ends before byte \(offset &+ buffer.count)")
      }
      try remote?.read(at: offset, into: buffer)
      return
    }
    var done = 0
    while done < buffer.count {
      var rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      if isSparse {
        // Read, a hole would fill the page cache with zeros first.
        let (hole, data) = extent(of: descriptor, at: offset + done, within: rest.count)
        if let start = rest.baseAddress { memset(start, 0, hole) }
        done += hole
        if data == 0, hole > 0 { continue }
        rest = UnsafeMutableRawBufferPointer(rebasing: rest[hole...])
        if data > 0 { rest = UnsafeMutableRawBufferPointer(rebasing: rest[..<data]) }
      }
      let count: Int
      do {
        count = try descriptor.read(fromAbsoluteOffset: Int64(offset + done), into: rest)
      } catch {
        throw ConversionError(.unreadableInput, "\(path) cannot be read at byte \(offset + done): \(error)")
      }
      guard count > 0 else {
        throw ConversionError(
          .unreadableInput, "\(path) ends at byte \(offset + done), \(buffer.count - done) bytes too early")
      }
      done += count
    }
  }

  /// The bytes of a hole at an offset, and those of the data behind it, as far as `count` goes. None of either is the end of
  /// the file, or a file system that does not tell: reading says which.
  private func extent(of descriptor: FileDescriptor, at offset: Int, within count: Int) -> (hole: Int, data: Int) {
    // The offset that these calls set is not used by any other.
    var start = lseek(descriptor.rawValue, off_t(offset), zooport_seek_data)
    if start < 0, errno == ENXIO { start = max(lseek(descriptor.rawValue, 0, SEEK_END), off_t(offset)) }
    guard start >= 0 else { return (0, 0) }
    let hole = min(Int(start) - offset, count)
    let end = hole < count ? lseek(descriptor.rawValue, start, zooport_seek_hole) : start
    return (hole, min(max(Int(end) - Int(start), 0), count - hole))
  }

  /// Reads `count` bytes. For headers and directories whose size was checked against a limit first.
  package func bytes(at offset: Int, count: Int) throws(ConversionError) -> [UInt8] {
    guard offset >= 0, count >= 0, count <= size, offset <= size - count else {
      throw ConversionError(
        .unreadableInput, "\(path) has \(size) bytes, but bytes \(offset) to \(offset &+ count) are needed")
    }
    var failure: ConversionError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(ConversionError) {
        try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
