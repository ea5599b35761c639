import Foundation

/// A file that lives in memory, so that thousands of inputs a second need no disk. One thread uses it.
struct MemoryFile {
  static let shared = MemoryFile()

  private let descriptor: Int32

  private init() {
    var name = Array("/dev/shm/zooport-fuzz-XXXXXX".utf8CString)
    descriptor = mkstemp(&name)
    precondition(descriptor >= 0, "no file can be made in /dev/shm")
    unlink(name)
  }

  /// Makes `bytes` the content of the file and returns a path that opens it.
  func replace(_ bytes: [UInt8]) -> String {
    precondition(ftruncate(descriptor, 0) == 0)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(done)) }
      precondition(count > 0, "the file in memory cannot be written")
      done += count
    }
    return "/proc/self/fd/\(descriptor)"
  }
}
