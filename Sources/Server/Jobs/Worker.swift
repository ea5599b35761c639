import Core
import Foundation
import Logging
import SystemPackage

/// Claims jobs and runs them, one at a time, on a thread of its own until the signal stops.
struct Worker<Runner: ConversionRunner>: Sendable {
  let name: String
  let store: any JobStore
  let data: DataFolder
  let runner: Runner
  let fetching: Fetching
  let running: RunningJobs
  let signal: WorkSignal
  let settings: JobExecution.ConversionSettings
  let lane: WorkLane
  /// Jobs that one token may have running.
  let runningPerToken: Int?
  let space: FreeSpace
  let lease: Duration
  let retry: RetryPolicy
  let reporter: JobReporter
  let logger: Logger

  /// How long a worker without work sleeps before it looks again; jobs that are added wake it at once.
  private static var idle: Duration { .seconds(2) }

  /// The life of the thread.
  func run() {
    let bounds = ClaimBounds(largestInput: lane.largestInput, runningPerOwner: runningPerToken)
    while !signal.hasStopped {
      let seen = signal.current
      // Memory comes first: a job that was claimed is run at once, and the queue keeps its order until then.
      var held = lane.reservation(budget: settings.memoryBudget)
      guard lane.gate.reserve(held, isStopped: { signal.hasStopped }) else { return }
      defer { lane.gate.release(held) }
      do {
        let now = Timestamp.now
        if let claimed = try store.claim(
          worker: name, at: now, leaseUntil: now.advanced(by: lease), within: bounds)
        {
          let need = JobMemory.need(inputBytes: claimed.job.inputBytes, budget: settings.memoryBudget)
          lane.gate.release(held - need)
          held = need
          run(claimed, memory: need)
          // A job of the same token may be waiting for this one.
          if runningPerToken != nil { signal.notify() }
          continue
        }
      } catch {
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
    // The service may have begun to stop between the claim and the registration.
    if signal.hasStopped { attempt.stop(.shutdown) }
    logger.info("job started", metadata: ["model": "\(job.model)", "worker": "\(name)"])
    defer { data.removeAttempt(lease) }
    let start = ContinuousClock.now
    var settings = settings
    settings.memoryBudget = memory
    do {
      let folder = try data.makeAttempt(lease)
      let result = try JobExecution(
        job: job, attempt: attempt, folder: folder, data: data, fetching: fetching, settings: settings,
        space: space, reporter: reporter
      ).run(runner) { config, checkpoint in
        guard try store.replaceInputs(lease, config: config, checkpoint: checkpoint) else {
          throw ConversionError(.cancelled, "the job was taken away")
        }
      }
      guard attempt.stopReason != .shutdown else { throw ConversionError(.cancelled, "stopped") }
      let isOurs = try store.complete(lease, with: result, at: .now) { try data.publish(lease) }
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

  private static func failure(for error: any Error) -> JobFailure {
    switch error {
    case let failure as JobFailure: failure
    case let error as ConversionError: JobFailure(error)
    case let error as Errno where error == .noSpace || error == .diskQuotaExceeded:
      noSpace(error)
    case let error as CocoaError where error.code == .fileWriteOutOfSpace:
      noSpace(error)
    default:
      DatabaseFault(error).map { JobFailure($0, cause: "\(error)") }
        ?? JobFailure(
          ConversionError(
            .internal, "the service failed; the log has the reason under the job id", cause: String(reflecting: error)))
    }
  }

  private static func noSpace(_ error: any Error) -> JobFailure {
    JobFailure(ConversionError(.diskFull, "no space is left for the job", cause: "\(error)"))
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
        let cause = Self.failure(for: error)
        let failure = cause.error
        var progress = attempt.progress
        progress.phase = nil
        reporter.failed(ProblemCode(failure.kind))
        let document = Problem(failure).document
        if cause.mayPass, let standard = retry.pause(after: job.attempt) {
          let pause = max(standard, cause.retryAfter ?? standard)
          _ = try store.postpone(attempt.lease, until: Timestamp.now.advanced(by: pause), because: document)
          logger.info(
            "job postponed",
            metadata: [
              "code": "\(failure.kind.rawValue)", "seconds": "\(pause.seconds)", "cause": "\(failure.cause ?? "")",
            ])
          return
        }
        let isOurs = try store.fail(attempt.lease, with: document, progress: progress, at: .now)
        if isOurs { reporter.ended(job, as: .failed, after: time) }
        var metadata: Logger.Metadata = ["code": "\(failure.kind.rawValue)"]
        if let cause = failure.cause { metadata["cause"] = "\(cause)" }
        logger.info(isOurs ? "job failed" : "job taken away", metadata: metadata)
      }
    } catch {
      // The lease runs out and the job is requeued: nothing is lost.
      logger.error("job state not stored", metadata: ["cause": "\(error)"])
    }
  }
}
