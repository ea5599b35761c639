package import API
import Core
import Foundation
import Synchronization

/// The attempts that run in this process: what stops them and how far they are. In memory; the store knows the rest.
///
/// By their leases: when a lease was lost, the job may run again before its former attempt has noticed.
package final class RunningJobs: Sendable {
  private let attempts = Mutex<[Lease: Attempt]>([:])

  package init() {}

  /// Registers an attempt. Former ones of the same job have lost their lease, or there would be no new one: they stop.
  func begin(_ lease: Lease) -> Attempt {
    let attempt = Attempt(lease: lease)
    stop(lease.job, .leaseLost)
    attempts.withLock { $0[lease] = attempt }
    return attempt
  }

  /// Removes an attempt.
  func end(_ attempt: Attempt) { attempts.withLock { $0[attempt.lease] = nil } }

  /// How far the latest attempt of a job is; nil when it does not run here.
  package func progress(of job: Identifier) -> JobProgress? {
    all(of: job).max { $0.lease.fence < $1.lease.fence }?.progress
  }

  /// Stops all attempts of one job.
  package func stop(_ job: Identifier, _ reason: StopReason) { for attempt in all(of: job) { attempt.stop(reason) } }

  /// Stops the attempt of a lease that was lost.
  func stop(_ lease: Lease) { attempts.withLock { $0[lease] }?.stop(.leaseLost) }

  /// Stops all jobs.
  func stopAll(_ reason: StopReason) { for attempt in attempts.withLock({ Array($0.values) }) { attempt.stop(reason) } }

  /// The leases to be kept alive.
  var leases: [Lease] { attempts.withLock { Array($0.keys) } }

  /// Complexity: O(n) in the attempts that run, which are as many as workers.
  private func all(of job: Identifier) -> [Attempt] {
    attempts.withLock { attempts in attempts.values.filter { $0.lease.job == job } }
  }
}

/// Why an attempt is asked to stop.
package enum StopReason: Sendable {
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
    /// Bytes of tensor data, as the conversion counted them last.
    var converted = (done: 0, total: 0)
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

  /// How far it got: no phase any more, and the bytes and tensors of the conversion.
  var finalProgress: JobProgress {
    state.withLock { state in
      var progress = state.progress
      progress.phase = nil
      (progress.bytesDone, progress.bytesTotal) = state.converted
      return progress
    }
  }

  func report(_ progress: ConversionProgress) {
    var next = JobProgress(progress)
    state.withLock { state in
      if progress.phase == .converting { state.converted = (progress.bytesDone, progress.bytesTotal) }
      // Later phases count bytes of their own, but no tensors: those that are written stay.
      if next.tensorsTotal == 0 {
        (next.tensorsDone, next.tensorsTotal) = (state.progress.tensorsDone, state.progress.tensorsTotal)
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
