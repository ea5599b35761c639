package import Core
import Synchronization
package import SystemPackage

/// What the jobs that run now are still going to write.
///
/// Without it two jobs that look at the disk at the same time see the same room, and both fail when it is used up. In
/// memory: one process serves a data folder, and a job that starts again asks again.
package final class DiskLedger: Sendable {
  /// The promise to one job, in bytes.
  fileprivate struct Promise {
    var bytes = 0
    var written = 0
    /// Whose storage does not have them in it yet.
    var owner: String?

    var rest: Int { max(bytes - written, 0) }
  }

  fileprivate let promises = Mutex<[ObjectIdentifier: Promise]>([:])
}

/// The room that one job has been promised on the disk. It is given back with the last reference.
package final class DiskReservation: Sendable {
  /// Why nothing was promised.
  package struct Shortage: Sendable, Hashable {
    /// Bytes that were asked for.
    let wanted: Int
    /// Bytes that nobody has and nobody was promised, above the floor.
    package let room: Int
    /// There would be room, had it not been promised to other jobs: when they have ended, there is.
    package let isHeldByOthers: Bool
  }

  /// The disk of the data folder.
  package let space: FreeSpace
  private let owner: String?
  private let refusal = Mutex<Shortage?>(nil)

  /// `owner` is set when the storage of the owner does not count what the job is going to write.
  package init(_ space: FreeSpace, owner: String? = nil) {
    self.space = space
    self.owner = owner
  }

  deinit { space.ledger.promises.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(self)) } }

  /// Bytes promised to other jobs of an owner, those whose outputs nobody could expect when they were submitted.
  package func promisedToOthers(of owner: String) -> Int {
    space.ledger.promises.withLock { promises in
      promises.reduce(0) { $0 + ($1.value.owner == owner && $1.key != ObjectIdentifier(self) ? $1.value.bytes : 0) }
    }
  }

  /// The last answer was no, and will be another one when other jobs have ended.
  package var isHeldByOthers: Bool { refusal.withLock { $0?.isHeldByOthers ?? false } }

  /// Asks for room for `bytes`, in place of what was promised before. Nil when it is promised; else nothing is.
  ///
  /// What nobody needs makes way, but not what the cache holds under `keys`. Throws `Errno` when the disk does not say what
  /// it has. Complexity: O(n) in the running jobs, and in the files of the cache when these have to make way.
  package func reserve(_ bytes: Int, keeping keys: Set<String> = []) throws(Errno) -> Shortage? {
    // Removing files takes time, in which the others go on.
    let promised = space.ledger.promises.withLock { promises in
      promises[ObjectIdentifier(self)] = nil
      return promises.values.map(\.rest).saturatingSum()
    }
    _ = try space.room(for: [bytes, promised].saturatingSum(), keeping: keys)
    let answer: Result<Shortage?, Errno> = space.ledger.promises.withLock { promises in
      do throws(Errno) {
        let others = promises.values.map(\.rest).saturatingSum()
        let room = max(try space.available() - space.floor, 0)
        guard bytes <= room - others else {
          return .success(Shortage(wanted: bytes, room: max(0, room - others), isHeldByOthers: bytes <= room))
        }
        promises[ObjectIdentifier(self)] = DiskLedger.Promise(bytes: bytes, owner: owner)
        return .success(nil)
      } catch {
        return .failure(error)
      }
    }
    let shortage = try answer.get()
    refusal.withLock { $0 = shortage }
    return shortage
  }

  /// Notes that so many bytes of what was promised are on the disk and missing from its free space.
  package func wrote(_ bytes: Int) {
    space.ledger.promises.withLock { $0[ObjectIdentifier(self)]?.written = bytes }
  }
}

extension DiskReservation {
  /// Asks for room for what a conversion is going to write. Throws `.diskFull`.
  ///
  /// A disk that does not say what it has is no reason to refuse: writing shows whether there is room.
  package func reserve(_ costs: PreparedConversion.Costs) throws(ConversionError) {
    guard costs.diskBytes > 0, let shortage = try? reserve(costs.diskBytes) else { return }
    throw ConversionError(shortage, for: costs.scratchBytes > 0 ? "the outputs and what is spooled" : "the outputs")
  }
}

/// Passes everything on, and tells a reservation what a conversion has written.
package struct WritingMonitor: ConversionMonitor {
  let base: any ConversionMonitor
  let reservation: DiskReservation

  /// `base` is told everything.
  package init(base: any ConversionMonitor, reservation: DiskReservation) {
    self.base = base
    self.reservation = reservation
  }

  package var isCancelled: Bool { base.isCancelled }

  package func report(_ progress: ConversionProgress) {
    if progress.phase == .converting { reservation.wrote(progress.bytesDone) }
    base.report(progress)
  }
}

extension ConversionError {
  /// The disk has no room for `what` a job writes.
  package init(_ shortage: DiskReservation.Shortage, for what: String) {
    self.init(
      .diskFull,
      "\(what) take \(shortage.wanted) bytes of disk; \(shortage.room) are left above the floor"
        + (shortage.isHeldByOthers ? " beside what other jobs are writing" : ""))
  }
}
