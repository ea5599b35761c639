import CLinux
import Glibc
import SystemPackage

/// Copies byte ranges between files without bringing them into user space where the file system can.
enum FileCopy {
  /// True when the kernel may copy into a file without moving bytes: by sharing extents, or on a file server.
  ///
  /// Elsewhere, on ext4 above all, it copies page by page and takes half as long again as reading and writing through a
  /// buffer that stays in the processor's cache; see docs/decisions/copying.md.
  static func isByReference(into file: StagedFile) -> Bool {
    zooport_copies_by_reference(file.descriptor.rawValue) != 0
  }

  /// Copies up to `count` bytes of an extent, from `start` on. Answers how many the kernel took: fewer, or none, where it
  /// refuses, as between file systems.
  ///
  /// Throws `.diskFull`.
  static func copyByReference(
    _ extent: FileExtent, from start: Int, count: Int, to file: StagedFile, at target: Int
  ) throws(ConversionError) -> Int {
    guard isByReference(into: file), let descriptor = extent.file.descriptor else { return 0 }
    var done = 0
    while done < count {
      let copied = zooport_copy_file_range(
        descriptor.rawValue, off_t(extent.offset + start + done), file.descriptor.rawValue,
        off_t(target + done), count - done)
      if copied > 0 {
        done += copied
        continue
      }
      if copied < 0, errno == EINTR { continue }
      if copied < 0, errno == ENOSPC || errno == EDQUOT {
        throw ConversionError(.diskFull, "no space left while writing \(file.name)")
      }
      // Another file system, an old kernel, or the end of the file: reading says what is wrong.
      break
    }
    return done
  }
}
