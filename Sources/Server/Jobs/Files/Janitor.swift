package import API
package import Inputs
package import Logging
import ServiceLifecycle

/// How long the service keeps what nobody asked it to keep.
package struct Retention: Sendable {
  /// Of an upload, counted from its arrival and from the end of the last job that used it; nil for ever.
  package var inputs: Duration? = .seconds(24 * 3600)
  /// Of an ended job with its outputs, counted from its end; nil for ever.
  package var outputs: Duration? = .seconds(7 * 24 * 3600)
  /// Of an unfinished upload or download, counted from its last bytes; nil for ever.
  package var partials: Duration? = .seconds(24 * 3600)

  package init(
    inputs: Duration? = .seconds(24 * 3600), outputs: Duration? = .seconds(7 * 24 * 3600),
    partials: Duration? = .seconds(24 * 3600)
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.partials = partials
  }
}

/// Removes jobs and uploads, finished and unfinished, whose time is over, and keeps the cache of downloads within its
/// limit. It has no other duty.
///
/// What a queued or running job uses, and jobs that are pinned, stay. Every record is checked again in the transaction
/// that removes it, and files go after their record: a crash in between leaves a folder without a record, which the next
/// start sweeps.
package struct Janitor: Service {
  package let jobs: any JobStore
  package let uploads: any UploadStore
  package let partials: any PartialUploadStore
  package let data: DataFolder
  package let cache: DownloadCache
  package let retention: Retention
  package let logger: Logger
  /// Told of each record that goes, as soon as it went; for whoever has to answer for it.
  package var audit: (@Sendable (AuditAction, _ subject: String) -> Void)?

  package init(
    jobs: any JobStore, uploads: any UploadStore, partials: any PartialUploadStore, data: DataFolder,
    cache: DownloadCache, retention: Retention, logger: Logger,
    audit: (@Sendable (AuditAction, _ subject: String) -> Void)? = nil
  ) {
    self.jobs = jobs
    self.uploads = uploads
    self.partials = partials
    self.data = data
    self.cache = cache
    self.retention = retention
    self.logger = logger
    self.audit = audit
  }

  /// Pause between two rounds.
  private static let interval: Duration = .seconds(600)

  /// What one round found.
  package struct Round: Sendable, Hashable {
    package var jobs: [Identifier] = []
    package var uploads: [Identifier] = []
    /// Unfinished uploads.
    package var partials: [Identifier] = []
    /// Files of the cache, complete or not.
    package var downloads: [DownloadCache.Removed] = []
    /// Bytes of disk that are free once the first three are gone; those of a job with the uploads that came with it.
    package var bytes = Bytes()

    package struct Bytes: Sendable, Hashable {
      package var jobs = 0
      package var uploads = 0
      package var partials = 0
    }
  }

  /// On a thread of its own, after a pause: whatever the clock said when the service started, there is time to put it right.
  package func run() async throws {
    let signal = WorkSignal()
    await ServiceThreads.run([("janitor", { rounds(until: signal) })]) { signal.stop() }
  }

  private func rounds(until signal: WorkSignal) {
    var clock = ClockWatch()
    while true {
      let deadline = ContinuousClock.now + Self.interval
      while !signal.hasStopped, ContinuousClock.now < deadline {
        signal.wait(after: signal.current, atMost: deadline - .now)
      }
      guard !signal.hasStopped else { return }
      let now = Timestamp.now
      if let jump = clock.jump(at: now, .now) {
        logger.warning("clock jumped, nothing removed", metadata: ["seconds": "\(jump.seconds)"])
        continue
      }
      do {
        _ = try collect(at: now)
      } catch {
        logger.error("expired files not removed", metadata: ["cause": "\(error)"])
      }
    }
  }

  /// One round. Blocks. With `isDryRun` it only looks. Throws a database error.
  package func collect(at now: Timestamp, isDryRun: Bool = false) throws -> Round {
    var round = Round()
    // A look has to remember what would be gone by then; otherwise it is gone.
    var links = FileLinks()
    var goneWithJobs: Set<Identifier> = []
    if let time = retention.outputs {
      let moment = now.advanced(by: .zero - time)
      for id in try jobs.expired(endedBefore: moment) {
        let brought: [Identifier]
        if isDryRun {
          brought = try jobs.brought(by: id)
          goneWithJobs.formUnion(brought)
        } else {
          guard let gone = try jobs.delete(id, endedBefore: moment) else { continue }
          (brought, links) = (gone, FileLinks())
        }
        round.bytes.jobs += data.outputBytes(of: id, after: &links)
        for upload in brought { round.bytes.jobs += data.uploadBytes(upload, after: &links) }
        round.jobs.append(id)
        guard !isDryRun else { continue }
        data.removeOutputs(of: id)
        for upload in brought { data.removeUpload(upload) }
        logger.info("job expired", metadata: ["job": "\(id)"])
        audit?(.jobDelete, "jobs/\(id)")
      }
    }
    if let time = retention.inputs {
      let moment = now.advanced(by: .zero - time)
      for id in try uploads.expired(unusedSince: moment) where !goneWithJobs.contains(id) {
        if !isDryRun {
          guard try uploads.delete(id, unusedSince: moment) else { continue }
          links = FileLinks()
        }
        round.bytes.uploads += data.uploadBytes(id, after: &links)
        round.uploads.append(id)
        guard !isDryRun else { continue }
        data.removeUpload(id)
        logger.info("upload expired", metadata: ["upload": "\(id)"])
        audit?(.uploadDelete, "uploads/\(id)")
      }
    }
    if let time = retention.partials {
      let moment = now.advanced(by: .zero - time)
      for id in try partials.stale(since: moment) {
        if !isDryRun {
          guard try partials.delete(id, staleSince: moment) else { continue }
          links = FileLinks()
        }
        round.bytes.partials += data.partialBytes(id, after: &links)
        round.partials.append(id)
        guard !isDryRun else { continue }
        data.removePartial(id)
        logger.info("unfinished upload expired", metadata: ["upload": "\(id)"])
        audit?(.uploadDelete, "uploads/\(id)")
      }
    }
    round.downloads = cache.shrink(
      partialsBefore: retention.partials.map { now.advanced(by: .zero - $0) }, isDryRun: isDryRun)
    if !isDryRun, !round.downloads.isEmpty {
      logger.info("downloads removed", metadata: ["files": "\(round.downloads.count)"])
    }
    return round
  }
}
