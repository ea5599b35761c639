import API
import Core
import Foundation
package import SystemPackage

/// How much the disk of the data folder can still take.
package struct FreeSpace: Sendable {
  /// Any path on that disk. It need not exist yet.
  package let path: FilePath
  /// Bytes that stay free whatever is asked: room for the database, logs and other tenants.
  package let floor: Int
  /// Has so many bytes be freed that nobody needs, except those under the keys, or nothing when there are fewer.
  var reclaim: (@Sendable (_ bytes: Int, _ keys: Set<String>) -> Void)?
  /// What jobs have been promised of it.
  var ledger = DiskLedger()

  package init(
    path: FilePath, floor: Int, reclaim: (@Sendable (_ bytes: Int, _ keys: Set<String>) -> Void)? = nil,
    ledger: DiskLedger = DiskLedger()
  ) {
    self.path = path
    self.floor = floor
    self.reclaim = reclaim
    self.ledger = ledger
  }

  /// Bytes that an unprivileged process can still write. Throws `Errno`.
  package func available() throws(Errno) -> Int {
    var status = statvfs()
    guard statvfs(try DiskNeeds.place(path).path.string, &status) == 0 else { throw Errno(rawValue: errno) }
    let (bytes, isTooMuch) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return isTooMuch ? .max : Int(clamping: bytes)
  }

  /// Bytes that can be written above the floor. When that is less than `bytes`, what nobody needs goes first, if that
  /// is enough; what the cache holds under `keys` stays. Throws `Errno`.
  package func room(for bytes: Int, keeping keys: Set<String> = []) throws(Errno) -> Int {
    let before = try available()
    let room = max(before - floor, 0)
    let lacking = [max(bytes - room, 0), max(floor - before, 0)].saturatingSum()
    guard lacking > 0, let reclaim else { return room }
    reclaim(lacking, keys)
    return max(try available() - floor, 0)
  }

  /// Throws `Fault` when `bytes` more would leave less than the floor.
  ///
  /// Nothing is reserved: it keeps a disk that is nearly full from filling up, and a job that finds it full later is
  /// tried again.
  package func require(_ bytes: Int, for what: String) throws {
    let room = try room(for: bytes)
    // Less than the floor refuses what takes nothing, too.
    guard try room < bytes || available() < floor else { return }
    throw Fault(
      .diskFull,
      "\(what) needs \(bytes) bytes; \(room) are left above the floor of \(floor); delete jobs or "
        + "uploads, or try again later", retryAfter: .seconds(60))
  }
}
