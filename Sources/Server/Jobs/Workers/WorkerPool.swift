import API
package import Logging
import ServiceLifecycle

/// The worker threads, and one more that keeps their leases. Off the cooperative pool: conversions block.
///
/// On graceful shutdown running jobs are asked to stop and go back into the queue.
package struct WorkerPool<Runner: ConversionRunner>: Service {
  package let workers: [Worker<Runner>]
  package let store: any JobStore
  package let running: RunningJobs
  package let signal: WorkSignal
  package let lease: Duration
  package let maximumAttempts: Int
  package let vitals: WorkerVitals
  package let reporter: JobReporter
  package let logger: Logger

  package init(
    workers: [Worker<Runner>], store: any JobStore, running: RunningJobs, signal: WorkSignal, lease: Duration,
    maximumAttempts: Int, vitals: WorkerVitals, reporter: JobReporter, logger: Logger
  ) {
    self.workers = workers
    self.store = store
    self.running = running
    self.signal = signal
    self.lease = lease
    self.maximumAttempts = maximumAttempts
    self.vitals = vitals
    self.reporter = reporter
    self.logger = logger
  }

  package func run() async throws {
    let threads = workers.map { worker in
      (
        name: worker.name,
        body: { @Sendable in
          vitals.begin()
          worker.run()
          vitals.end()
        }
      )
    }
    await ServiceThreads.run(threads + [("leases", { @Sendable in keepLeases() })]) {
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
          if job.status == .failed { reporter.gaveUp(model: job.model) }
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
