import CLinux
import Glibc
import SystemPackage

/// An output file that is invisible until it is complete.
///
/// Bytes go to a hidden file beside the final one. `publish` syncs it and renames it, so a reader sees the old file,
/// none, or the whole new one. If it is never published, the hidden file is removed when the last reference goes.
/// Writes are safe from several threads, each with its own range.
package final class StagedFile: Sendable {
  /// Where the file will appear.
  package let path: String
  /// What messages call it.
  let name: String
  /// Where it is until then.
  let stagedPath: String
  /// A second name for the file that stood at `path`, while it may have to come back.
  private var replacedPath: String { stagedPath + ".replaced" }
  /// The descriptor, for calls such as `copy_file_range`. Do not close it.
  let descriptor: FileDescriptor
  /// False for a file that takes a free name only.
  private let replaces: Bool

  /// Creates the hidden file in the folder of `path`, with the permissions that the umask leaves. Messages call it `name`, or
  /// its path when `name` is nil. Unless it `replaces`, it is not published where a file stands already.
  ///
  /// Throws `ConversionError` with `.outputFailed` when the folder cannot be written to.
  package init(path: String, name: String? = nil, replaces: Bool = true) throws(ConversionError) {
    self.path = path
    self.name = name ?? path
    self.replaces = replaces
    let target = FilePath(path)
    let last = target.lastComponent?.string ?? "output"
    var random = SystemRandomNumberGenerator()
    let suffix = String(random.next() as UInt64, radix: 36)
    stagedPath = target.removingLastComponent().appending(".\(last).\(suffix).partial").string
    do {
      descriptor = try FileDescriptor.open(
        FilePath(stagedPath), .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupReadWrite, .otherReadWrite])
    } catch {
      throw ConversionError(.outputFailed, "\(self.name) cannot be created: \(error)")
    }
  }

  deinit {
    try? descriptor.close()
    // After publish the name is gone and this fails, which is what is wanted.
    unlink(stagedPath)
    unlink(replacedPath)
  }

  /// Writes the whole buffer at an absolute offset.
  ///
  /// Throws `.diskFull` when no space is left, `.outputFailed` for any other fault.
  package func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(ConversionError) {
    var done = 0
    while done < buffer.count {
      do {
        done += try descriptor.write(
          toAbsoluteOffset: Int64(offset + done), UnsafeRawBufferPointer(rebasing: buffer[done...]))
      } catch {
        throw writeError(error)
      }
    }
  }

  /// Writes an array of bytes at an absolute offset.
  package func write(_ bytes: [UInt8], at offset: Int) throws(ConversionError) {
    var failure: ConversionError?
    bytes.withUnsafeBytes { buffer in
      do throws(ConversionError) { try write(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Bytes that the file has now.
  var size: Int {
    var status = stat()
    return fstat(descriptor.rawValue, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Sets the length, leaving a hole where nothing was written.
  func resize(to size: Int) throws(ConversionError) {
    do { try descriptor.resize(to: Int64(size)) } catch { throw writeError(error) }
  }

  /// Bytes that are waited for at a time: some tenths of a second on a slow disk.
  private static let writeBack = 16 << 20

  /// Flushes the content to the disk.
  ///
  /// `fsync` of a large file cannot be interrupted. So the pages are written out in pieces first, and `report` gets the bytes
  /// of each piece. Throws `.cancelled` between two pieces when the conversion was cancelled.
  package func synchronize(report: (_ bytes: Int) -> Void = { _ in }) throws(ConversionError) {
    let size = size
    for offset in stride(from: 0, to: size, by: Self.writeBack) {
      try Interruption.check()
      // Where the file system cannot do this, syncing does it all.
      _ = zooport_write_back(descriptor.rawValue, off_t(offset), off_t(Self.writeBack))
      report(min(Self.writeBack, size - offset))
    }
    guard fsync(descriptor.rawValue) == 0 else { throw writeError(Errno(rawValue: errno)) }
  }

  /// Gives the file its final name; `durably`, content and name are on the disk when this returns. An existing file is
  /// replaced, and can come back by `withdraw` as long as this object lives.
  package func publish(durably: Bool = true) throws(ConversionError) {
    if durably { try synchronize() }
    if replaces {
      // Fails where nothing stands at the path, or where the file system knows one name for a file only.
      link(path, replacedPath)
    } else if link(stagedPath, path) != 0, errno == EEXIST || access(path, F_OK) == 0 {
      throw Self.exists(name)
    }
    // Does nothing where both are names of one file; the hidden one goes with this object.
    guard rename(stagedPath, path) == 0 else { throw writeError(Errno(rawValue: errno)) }
    guard durably else { return }
    let folder = FilePath(path).removingLastComponent()
    let folderPath = folder.isEmpty ? FilePath(".") : folder
    do {
      let handle = try FileDescriptor.open(folderPath, .readOnly, options: [.directory, .closeOnExec])
      defer { try? handle.close() }
      // Some file systems know no sync of folders, and say so with EINVAL.
      if fsync(handle.rawValue) != 0, errno != EINVAL { throw Errno(rawValue: errno) }
    } catch {
      withdraw()
      throw writeError(error)
    }
  }

  /// Takes the published file away again, because something that belongs to it could not be published. A file that it
  /// had replaced is back under its name.
  func withdraw() {
    if rename(replacedPath, path) != 0 { unlink(path) }
  }

  /// What stands in the way of a file that replaces no other.
  static func exists(_ name: String) -> ConversionError {
    ConversionError(.outputFailed, "\(name) exists already and is another file; move it, or write to another folder")
  }

  private func writeError(_ error: any Error) -> ConversionError {
    if let code = error as? Errno, code == .noSpace || code == .diskQuotaExceeded {
      return ConversionError(.diskFull, "no space left while writing \(name)")
    }
    if let code = error as? Errno, code == .fileTooLarge {
      return ConversionError(
        .outputFailed,
        "\(name) would be larger than a file may be here; raise the limit (ulimit -f) or write shards with --max-shard-size"
      )
    }
    return ConversionError(.outputFailed, "\(name) cannot be written: \(error)")
  }
}
