import Core
import Glibc
import SystemPackage

/// Bytes that disks have to take, added up for each file system: a cache, a temporary folder and outputs may be on three.
struct DiskNeeds: Sendable {
  /// A file system and a path on it.
  private struct Disk: Sendable {
    let path: FilePath
    var bytes: Int
  }

  /// Bytes that stay free on each.
  private let floor: Int
  private var disks: [dev_t: Disk] = [:]

  init(floor: Int) { self.floor = floor }

  /// Adds bytes that are written below a path, which need not exist yet. Throws `Errno`.
  mutating func add(_ bytes: Int, at path: FilePath) throws(Errno) {
    guard bytes > 0 else { return }
    let (path, device) = try Self.place(path)
    // Servers state what they like.
    let (sum, isTooMuch) = (disks[device]?.bytes ?? 0).addingReportingOverflow(bytes)
    disks[device, default: Disk(path: path, bytes: 0)].bytes = isTooMuch ? .max : sum
  }

  /// What one of the disks cannot take; nil when there is room for everything. Then that on the disk of `reservation` is
  /// promised to its job. What the cache holds under `keys` does not make way. Throws `Errno`.
  func reserve(
    _ reservation: DiskReservation, keeping keys: Set<String> = []
  ) throws(Errno) -> DiskReservation.Shortage? {
    let own = try Self.place(reservation.space.path).device
    for (device, disk) in disks where device != own {
      let room = max(try FreeSpace(path: disk.path, floor: floor).available() - floor, 0)
      if disk.bytes > room { return .init(wanted: disk.bytes, room: room, isHeldByOthers: false) }
    }
    guard let disk = disks[own] else { return nil }
    return try reservation.reserve(disk.bytes, keeping: keys)
  }

  /// The file system of the nearest folder that exists.
  static func place(_ path: FilePath) throws(Errno) -> (path: FilePath, device: dev_t) {
    var path = path.isEmpty ? "." : path
    var status = stat()
    while stat(path.string, &status) != 0 {
      let code = Errno(rawValue: errno)
      guard code == .noSuchFileOrDirectory, path != ".", path.components.count > 0 else { throw code }
      path.removeLastComponent()
      if path.isEmpty { path = "." }
    }
    return (path, status.st_dev)
  }
}
