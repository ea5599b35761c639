import Core
import Synchronization

/// Ends a conversion before its first output byte when the plan says that the disk cannot take the outputs.
final class SpaceWatch: ConversionMonitor {
  private let base: any ConversionMonitor
  private let space: FreeSpace
  private let shortage = Mutex<ConversionError?>(nil)

  init(_ base: any ConversionMonitor, space: FreeSpace) {
    self.base = base
    self.space = space
  }

  /// What is missing, if anything is: then the conversion ended as cancelled because of it.
  var failure: ConversionError? { shortage.withLock { $0 } }

  func report(_ progress: ConversionProgress) {
    base.report(progress)
    // The first report of the phase is the only one before bytes are written.
    guard progress.phase == .converting, progress.bytesDone == 0, progress.bytesTotal > 0 else { return }
    let needed = [progress.bytesTotal, progress.scratchBytes].saturatingSum()
    guard let room = try? space.room(for: needed), room < needed else { return }
    shortage.withLock {
      $0 = ConversionError(
        .diskFull,
        "the outputs take \(progress.bytesTotal) bytes"
          + (progress.scratchBytes > 0 ? " and what is spooled \(progress.scratchBytes)" : "")
          + "; \(room) are left above the floor of \(space.floor)")
    }
  }

  var isCancelled: Bool { failure != nil || base.isCancelled }
}
