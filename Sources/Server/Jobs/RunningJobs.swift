import Core
import Foundation
import Synchronization

/// The attempts that run in this process: what stops them and how far they are. In memory; the store knows the rest.
final class RunningJobs: Sendable {
  private let attempts = Mutex<[Identifier: Attempt]>([:])

  /// Registers an attempt.
  func begin(_ lease: Lease) -> Attempt {
    let attempt = Attempt(lease: lease)
    attempts.withLock { $0[lease.job] = attempt }
    return attempt
  }

  /// Removes an attempt, unless a newer one of the same job took its place.
  func end(_ attempt: Attempt) {
    attempts.withLock { if $0[attempt.lease.job] === attempt { $0[attempt.lease.job] = nil } }
  }

  /// How far a job is; nil when it does not run here.
  func progress(of job: Identifier) -> JobProgress? { attempts.withLock { $0[job] }?.progress }

  /// Stops one job.
  func stop(_ job: Identifier, _ reason: StopReason) { attempts.withLock { $0[job] }?.stop(reason) }

  /// Stops the attempt of a lease that was lost.
  func stop(_ lease: Lease) {
    guard let attempt = attempts.withLock({ $0[lease.job] }), attempt.lease == lease else { return }
    attempt.stop(.leaseLost)
  }

  /// Stops all jobs.
  func stopAll(_ reason: StopReason) { for attempt in attempts.withLock({ Array($0.values) }) { attempt.stop(reason) } }

  /// The leases to be kept alive.
  var leases: [Lease] { attempts.withLock { $0.values.map(\.lease) } }
}

/// Why an attempt is asked to stop.
enum StopReason: Sendable {
  /// A client cancelled the job; the store knows.
  case cancelled
  /// The service stops; the job goes back into the queue.
  case shutdown
  /// Somebody else has the job now.
  case leaseLost
}

/// One run of one job. Doubles as the monitor of the conversion.
final class Attempt: ConversionMonitor {
  private struct State {
    var reason: StopReason?
    var progress = JobProgress()
  }

  let lease: Lease
  private let state = Mutex(State())

  init(lease: Lease) { self.lease = lease }

  /// Asks the attempt to stop; the first reason stays.
  func stop(_ reason: StopReason) { state.withLock { $0.reason = $0.reason ?? reason } }

  /// Why it shall stop, if it shall.
  var stopReason: StopReason? { state.withLock { $0.reason } }

  var isCancelled: Bool { stopReason != nil }

  var progress: JobProgress { state.withLock { $0.progress } }

  func report(_ progress: ConversionProgress) {
    var next = JobProgress(progress)
    state.withLock { state in
      // Publishing has no counts of its own; those of the conversion stay.
      if progress.phase == .publishing, next.tensorsTotal == 0 {
        next = state.progress
        next.phase = progress.phase.rawValue
      }
      next.follow(state.progress)
      state.progress = next
    }
  }

  /// Downloads, all files of the job together.
  func reportFetching(done: Int, total: Int) {
    var progress = ConversionProgress(phase: .fetching)
    progress.bytesDone = done
    progress.bytesTotal = max(done, total)
    report(progress)
  }
}
