import API
import Core
import Foundation
package import Inputs
package import Logging
import SystemPackage

/// Claims jobs and runs them, one at a time, on a thread of its own until the signal stops.
package struct Worker<Runner: ConversionRunner>: Sendable {
  package let name: String
  package let store: any JobStore
  package let data: DataFolder
  let runner: Runner
  package let fetching: Fetching
  package let running: RunningJobs
  package let signal: WorkSignal
  package let settings: ConversionSettings
  let lane: WorkLane
  /// Where jobs with many names and values take the memory that is not counted in their need.
  let spareMemory: MemoryGate
  /// Jobs that one token may have running.
  package let runningPerToken: Int?
  package let admission: Admission
  package let vitals: WorkerVitals
  package let lease: Duration
  package let retry: RetryPolicy
  package let reporter: JobReporter
  package let logger: Logger

  package init(
    name: String, store: any JobStore, data: DataFolder, runner: Runner, fetching: Fetching, running: RunningJobs,
    signal: WorkSignal, settings: ConversionSettings, lane: WorkLane, spareMemory: MemoryGate,
    runningPerToken: Int?, admission: Admission, vitals: WorkerVitals, lease: Duration, retry: RetryPolicy,
    reporter: JobReporter, logger: Logger
  ) {
    self.name = name
    self.store = store
    self.data = data
    self.runner = runner
    self.fetching = fetching
    self.running = running
    self.signal = signal
    self.settings = settings
    self.lane = lane
    self.spareMemory = spareMemory
    self.runningPerToken = runningPerToken
    self.admission = admission
    self.vitals = vitals
    self.lease = lease
    self.retry = retry
    self.reporter = reporter
    self.logger = logger
  }

  /// How long a worker without work sleeps before it looks again; jobs that are added wake it at once.
  private static var idle: Duration { .seconds(2) }

  /// The life of the thread.
  package func run() {
    let bounds = ClaimBounds(largestInput: lane.largestInput, runningPerOwner: runningPerToken)
    while !signal.hasStopped {
      let seen = signal.current
      // Memory comes first: a job that was claimed is run at once, and the queue keeps its order until then.
      var held = lane.reservation(budget: settings.memoryBudget)
      guard lane.gate.reserve(held, isStopped: { signal.hasStopped }) else { return }
      defer { lane.gate.release(held) }
      do {
        let now = Timestamp.now
        let claimed = try store.claim(worker: name, at: now, leaseUntil: now.advanced(by: lease), within: bounds)
        vitals.looked(name)
        if let claimed {
          let need = JobMemory.need(inputBytes: claimed.job.inputBytes, budget: settings.memoryBudget)
          lane.gate.release(held - need)
          held = need
          run(claimed, memory: need)
          // Jobs may be waiting for this one: those of the same token, and all when it had to be alone.
          if runningPerToken != nil || claimed.job.interruptions >= Job.interruptionsInCompany { signal.notify() }
          continue
        }
      } catch let job as UnreadableJob {
        reporter.gaveUp(model: job.model)
        logger.error("job not readable", metadata: ["job": "\(job.id)", "cause": "\(job.cause)"])
        continue
      } catch {
        vitals.missed(name)
        logger.error("queue not readable", metadata: ["worker": "\(name)", "cause": "\(error)"])
      }
      lane.gate.release(held)
      held = 0
      signal.wait(after: seen, atMost: Self.idle)
    }
  }

  private func run(_ claimed: ClaimedJob, memory: Int) {
    let job = claimed.job
    let lease = claimed.lease
    var logger = logger
    logger[metadataKey: "job"] = "\(job.id)"
    logger[metadataKey: "attempt"] = "\(job.attempt)"
    let attempt = running.begin(lease)
    defer { running.end(attempt) }
    // Between the claim and the registration the service may have begun to stop, and the job may have been cancelled:
    // whoever did that found no attempt to stop.
    if signal.hasStopped { attempt.stop(.shutdown) }
    if (try? store.holds(lease)) == false { attempt.stop(.leaseLost) }
    logger.info("job started", metadata: ["model": "\(job.model)", "worker": "\(name)"])
    defer { data.removeAttempt(lease) }
    let start = ContinuousClock.now
    // Names may take more than the buffers need; everything together keeps to the budget of a conversion.
    let inputMemory = InputMemory(gate: spareMemory).account(
      budget: settings.memoryBudget, granted: memory + MemoryAccount.allowance)
    var settings = settings
    settings.memoryBudget = memory
    // What a download is going to store was not counted when the job was submitted.
    let reservation = DiskReservation(admission.space, owner: job.inputBytes == nil ? job.ownership.owner : nil)
    do {
      let folder = try data.makeAttempt(lease)
      let result = try JobExecution(
        job: job, attempt: attempt, folder: folder, data: data, fetching: fetching, settings: settings,
        reservation: reservation, quota: { try requireStorage($0, for: job, beside: reservation) }, reporter: reporter,
        memory: inputMemory
      ).run(runner) { config, checkpoint in
        guard try store.replaceInputs(lease, config: config, checkpoint: checkpoint) else {
          throw ConversionError(.cancelled, "the job was taken away")
        }
      }
      guard attempt.stopReason != .shutdown else { throw ConversionError(.cancelled, "stopped") }
      let isOurs = try store.complete(
        lease, with: result, at: .now, publish: { try data.publish(lease) }, undo: { data.withdraw(lease) })
      if isOurs {
        reporter.ended(job, as: .succeeded, after: .now - start)
        reporter.moved(result.outputs.reduce(0) { $0 + $1.size }, .converted)
      }
      logger.info(isOurs ? "job succeeded" : "job taken away", metadata: ["outputs": "\(result.outputs.count)"])
    } catch {
      // First, because on a full disk the database needs the room to say what happened.
      data.removeAttempt(lease)
      end(job, attempt, error, after: .now - start, logger)
    }
  }

  private func end(_ job: Job, _ attempt: Attempt, _ error: any Error, after time: Duration, _ logger: Logger) {
    do {
      switch attempt.stopReason {
      case .cancelled, .leaseLost:
        logger.info(
          "job stopped", metadata: ["reason": "\(attempt.stopReason == .cancelled ? "cancelled" : "lease lost")"])
      case .shutdown:
        _ = try store.release(attempt.lease, isCounted: false)
        logger.info("job requeued", metadata: ["reason": "shutdown"])
      case nil:
        let failure = JobFailure(of: error)
        let fault = failure.fault
        var metadata: Logger.Metadata = ["code": "\(fault.code.rawValue)"]
        if let cause = fault.cause { metadata["cause"] = "\(cause)" }
        let pause = pause(after: failure, of: job)
        let isOurs: Bool
        if let pause {
          metadata["seconds"] = "\(pause.seconds)"
          let now = Timestamp.now
          isOurs = try store.postpone(
            attempt.lease, at: now, until: now.advanced(by: pause), because: fault,
            isCounted: failure.remedy == .retry)
        } else {
          var progress = attempt.progress
          progress.phase = nil
          isOurs = try store.fail(attempt.lease, with: fault, progress: progress, at: .now)
          if isOurs { reporter.ended(job, as: .failed, after: time) }
        }
        // Of a job that was taken away, nobody wants to know how this attempt came to its end.
        if isOurs { reporter.failed(fault.code) }
        logger.info(
          !isOurs ? "job taken away" : pause == nil ? "job failed" : "job postponed", metadata: metadata)
      }
    } catch {
      // The lease runs out and the job is requeued: nothing is lost.
      logger.error("job state not stored", metadata: ["cause": "\(error)"])
    }
  }

  /// How long the job waits for another attempt; nil when there shall be none. What waits for others waits until they have
  /// ended, however often that is.
  private func pause(after failure: JobFailure, of job: Job) -> Duration? {
    switch failure.remedy {
    case .none: nil
    case .retry: retry.pause(after: job.retries + 1).map { max($0, failure.retryAfter ?? $0) }
    case .wait: retry.delay
    }
  }

  /// Throws `Fault` when the owner of a job may not store so many bytes of outputs, which for downloads is known only
  /// now. Throws a database error.
  private func requireStorage(_ bytes: Int, for job: Job, beside reservation: DiskReservation) throws {
    guard let owner = job.ownership.owner, let check = admission.storageCheck(bytes, of: owner) else { return }
    try check(store.storedBytes(of: owner, besides: job.id) + reservation.promisedToOthers(of: owner))
  }
}
