import CLinux
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Copies byte ranges between files without bringing them into user space where the file system can.
enum FileCopy {
  /// True when the kernel may copy into a file without moving bytes: by sharing extents, or on a file server.
  ///
  /// Elsewhere, on ext4 above all, it copies page by page and takes more than twice the time of reading and writing
  /// through a buffer that stays in the processor's cache.
  static func isByReference(into file: StagedFile) -> Bool {
    zooport_copies_by_reference(file.descriptor.rawValue) != 0
  }

  /// Copies `count` bytes of an extent, from `start` on. `buffer` serves where the kernel refuses.
  ///
  /// Throws `.unreadableInput`, `.diskFull` or `.outputFailed`.
  static func copy(
    _ extent: FileExtent, from start: Int, count: Int, to file: StagedFile, at target: Int,
    buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    var done = 0
    while let descriptor = extent.file.descriptor, done < count {
      let copied = zooport_copy_file_range(
        descriptor.rawValue, off_t(extent.offset + start + done), file.descriptor.rawValue,
        off_t(target + done), count - done)
      if copied > 0 {
        done += copied
        continue
      }
      if copied < 0, errno == EINTR { continue }
      if copied < 0, errno == ENOSPC || errno == EDQUOT {
        throw ConversionError(.diskFull, "no space left while writing \(file.path)")
      }
      // Other file systems, old kernels, or the end of the file: the plain way works or says what is wrong.
      break
    }
    while done < count {
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, count - done)])
      try extent.file.read(at: extent.offset + start + done, into: bytes)
      try file.write(UnsafeRawBufferPointer(bytes), at: target + done)
      done += bytes.count
    }
  }
}
