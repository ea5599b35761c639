import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// The worker threads, and one more that keeps their leases. Off the cooperative pool: conversions block.
///
/// On graceful shutdown running jobs are asked to stop and go back into the queue.
struct WorkerPool<Runner: ConversionRunner>: Service {
  let workers: [Worker<Runner>]
  let store: any JobStore
  let running: RunningJobs
  let signal: WorkSignal
  let lease: Duration
  let maximumAttempts: Int
  let vitals: WorkerVitals
  let reporter: JobReporter
  let logger: Logger

  /// Pickles and configs may be nested deeply; the main thread's size is the one they were tried with.
  private static var stackSize: Int { 8 << 20 }

  func run() async throws {
    let (ends, continuation) = AsyncStream.makeStream(of: Void.self)
    let bodies =
      workers.map { worker in
        { @Sendable in
          vitals.begin()
          worker.run()
          vitals.end()
        }
      } + [{ @Sendable in keepLeases() }]
    for (index, body) in bodies.enumerated() {
      let thread = Thread {
        body()
        continuation.yield()
      }
      thread.name = index < workers.count ? "worker-\(index)" : "leases"
      thread.stackSize = Self.stackSize
      thread.start()
    }
    await withTaskCancellationOrGracefulShutdownHandler {
      var rest = bodies.count
      // A stream ends its iteration when the task is cancelled; the threads are stopping by then.
      for await _ in ends {
        rest -= 1
        if rest == 0 { break }
      }
    } onCancelOrGracefulShutdown: {
      signal.stop()
      running.stopAll(.shutdown)
    }
    logger.info("workers stopped")
  }

  /// Extends the leases of running jobs and puts abandoned jobs back. Extending comes first, so that a jump of the
  /// clock does not take jobs from healthy workers.
  private func keepLeases() {
    while !signal.hasStopped {
      do {
        let now = Timestamp.now
        for lost in try store.extend(running.leases, until: now.advanced(by: lease)) { running.stop(lost) }
        let requeued = try store.requeueAbandoned(before: now, maximumAttempts: maximumAttempts, at: now)
        for job in requeued {
          reporter.lostLease()
          logger.info("job abandoned", metadata: ["job": "\(job.id)", "status": "\(job.status.rawValue)"])
        }
        vitals.keptLeases()
        if requeued.contains(where: { $0.status == .queued }) { signal.notify() }
      } catch {
        logger.error("leases not extended", metadata: ["cause": "\(error)"])
      }
      let deadline = ContinuousClock.now + lease / 3
      while !signal.hasStopped, ContinuousClock.now < deadline {
        signal.wait(after: signal.current, atMost: deadline - .now)
      }
    }
  }
}
