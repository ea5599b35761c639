package import Core
package import Inputs
import Synchronization

/// Ends a conversion before its first output byte when the plan says that the disk cannot take the outputs, or that their
/// owner may not store as much. Tells the reservation how much was written.
package final class SpaceWatch: ConversionMonitor {
  private let base: any ConversionMonitor
  private let reservation: DiskReservation
  private let quota: @Sendable (_ bytes: Int) throws -> Void
  private let refusal = Mutex<JobFailure?>(nil)

  /// `quota` throws when the owner may not store so many bytes of outputs.
  package init(
    _ base: any ConversionMonitor, reservation: DiskReservation,
    quota: @escaping @Sendable (_ bytes: Int) throws -> Void
  ) {
    self.base = base
    self.reservation = reservation
    self.quota = quota
  }

  /// Why the outputs cannot be stored, if they cannot: then the conversion ended as cancelled because of it.
  package var failure: JobFailure? { refusal.withLock { $0 } }

  package func report(_ progress: ConversionProgress) {
    base.report(progress)
    guard progress.phase == .converting else { return }
    guard progress.bytesDone == 0 else { return reservation.wrote(progress.bytesDone) }
    // The first report of the phase is the only one before bytes are written.
    guard progress.bytesTotal > 0 else { return }
    do {
      try quota(progress.bytesTotal)
      // A disk that does not say what it has is no reason to refuse: writing shows whether there is room.
      let needed = [progress.bytesTotal, progress.scratchBytes].saturatingSum()
      if let shortage = try? reservation.reserve(needed) {
        throw ConversionError(
          shortage, for: progress.scratchBytes > 0 ? "the outputs and what is spooled" : "the outputs")
      }
    } catch {
      refusal.withLock { $0 = JobFailure(of: error) }
    }
  }

  package var isCancelled: Bool { failure != nil || base.isCancelled }
}
