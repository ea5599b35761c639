package import API
package import Inputs

/// Where jobs live. The conformance suite in Tests/Server/Jobs states what every implementation must do.
///
/// Functions marked `async` are for request handlers. The others block and are for worker threads. Both sides may be
/// called from any thread at any time; each call is one transaction.
///
/// The text of an inline config is with the job that `insert` takes and with those that `claim` and `submitted` answer. All
/// others get jobs without it: a view of two hundred jobs must not read their configs.
///
/// A worker holds a job by a *lease*: the id of the job, and a *fence* that grows with every claim. A lease that was
/// taken away (cancelled, expired, deleted) has a stale fence, and every call with it answers `false` and changes
/// nothing. That is what keeps a worker which was frozen for an hour from publishing.
package protocol JobStore: Sendable {
  /// Adds a queued job and the uploads that came with it, all or nothing.
  ///
  /// When a job with the same key and digest exists, nothing is added and that job is the answer.
  /// A key belongs to the owner of the job: equal keys of two owners have nothing to do with each other.
  /// `reuse` is called with an ended job of the same fingerprint, if there is one within its reach. When it made the
  /// outputs of that job those of the new one, too, and answers true, the new job has succeeded at once; otherwise it
  /// waits for a worker.
  /// `admit` is called for a job that will wait, with the load that includes it; what it throws is thrown, and nothing
  /// is added. A job that is repeated or reused is never refused.
  /// Throws `JobStoreError.unknownUpload` when an input refers to an upload that does not exist, and `.keyTaken` when
  /// the key came with another digest before.
  func insert(
    _ job: Job, bringing uploads: [Upload], key: IdempotencyKey?,
    reuse: JobReuse?, admit: (@Sendable (AdmissionLoad) throws -> Void)?
  ) async throws -> Insertion

  /// The job that an owner submitted under a key, and the digest of what was submitted; nil when there is none.
  func job(ofKey key: String, owner: String?) async throws -> (job: Job, digest: String)?

  /// The job, or nil.
  func job(_ id: Identifier) async throws -> Job?

  /// The job with the text of its inline config, whether it has ended or not; nil when there is none.
  func submitted(_ id: Identifier) async throws -> Job?

  /// How many jobs of each status a filter finds; its own status is left out of account. Complexity: O(n) in the jobs that are
  /// found, in an index unless the filter names formats or text.
  func counts(matching filter: JobFilter) async throws -> [JobStatus: Int]

  /// Queued jobs that are due, in the order in which workers would take them one after the other if none were added.
  /// Complexity: O(n log n) in the queued jobs.
  func queue(at now: Timestamp) async throws -> [Identifier]

  /// Jobs, newest first, from the one after `cursor` on; at most `limit`. Complexity: O(limit) with the indexes.
  func jobs(matching filter: JobFilter, after cursor: Identifier?, limit: Int) async throws -> [Job]

  /// Cancels a queued or running job at once; the lease of its worker becomes stale.
  func cancel(_ id: Identifier, at now: Timestamp) async throws -> CancelOutcome

  /// Removes an ended job. Answers the uploads that came with it and went with it; nil when there is no such ended job.
  func delete(_ id: Identifier) async throws -> [Identifier]?

  /// Keeps an ended job from expiring, or no longer. Answers the job; nil when there is none.
  func pin(_ id: Identifier, _ isPinned: Bool) async throws -> Job?

  /// Jobs that ended before a moment and are not pinned.
  func expired(endedBefore moment: Timestamp) throws -> [Identifier]

  /// The uploads that came with a job and would go with it.
  func brought(by id: Identifier) throws -> [Identifier]

  /// Removes a job as `delete` does, if it is still one that `expired` answers.
  func delete(_ id: Identifier, endedBefore moment: Timestamp) throws -> [Identifier]?

  /// Replaces the inputs of a running job by more exact ones: references to a hub with the commit they stand for. The
  /// uploads among them stay as they are. False when the lease is stale.
  func replaceInputs(_ lease: Lease, config: JobInput, checkpoint: [JobInput]) throws -> Bool

  /// Takes a queued job, if one is due within the bounds, and counts an attempt. Never the same job twice at a time.
  ///
  /// Owners take turns: the one who was served longest ago comes first, with the oldest of the jobs. A job is due when its
  /// time has come, when it never had to wait, or when it was postponed after `now`: the wall clock was set back.
  ///
  /// A job with `Job.interruptionsInCompany` interruptions runs alone. As soon as one is due, no other begins until it has
  /// run: whatever takes the service down takes nobody else's job with it.
  ///
  /// Throws `UnreadableJob` when the record cannot be understood; that job has failed then, and others can be claimed.
  func claim(worker: String, at now: Timestamp, leaseUntil: Timestamp, within bounds: ClaimBounds) throws -> ClaimedJob?

  /// False when the lease is stale.
  func holds(_ lease: Lease) throws -> Bool

  /// Bytes of all uploads and outputs of an owner, and of the outputs that are expected of queued and running jobs, but for
  /// those of one job.
  func storedBytes(of owner: String, besides job: Identifier) throws -> Int

  /// Extends leases. Answers those that are stale.
  func extend(_ leases: [Lease], until: Timestamp) throws -> [Lease]

  /// Ends a job as succeeded. `publish` makes the outputs visible; it runs inside the transaction, and when it throws
  /// nothing has changed. `undo` takes back what `publish` did, all or a part, when the transaction fails after it.
  func complete(
    _ lease: Lease, with result: JobResult, at now: Timestamp, publish: () throws -> Void, undo: () -> Void
  ) throws -> Bool

  /// Ends a job as failed.
  func fail(
    _ lease: Lease, with error: Fault, progress: JobProgress?, at now: Timestamp
  ) throws -> Bool

  /// Puts a job back into the queue. The attempt is not counted when `isCounted` is false.
  func release(_ lease: Lease, isCounted: Bool) throws -> Bool

  /// Puts a job back into the queue after a fault that may pass: no worker takes it before `time`. It keeps the error
  /// until then. `isCounted` makes it one of the job's retries. A `claim` before `now` finds it due: its clock was set back.
  func postpone(
    _ lease: Lease, at now: Timestamp, until time: Timestamp, because error: Fault, isCounted: Bool
  ) throws -> Bool

  /// Puts running jobs back whose lease ended before `now`, or all of them when `now` is nil (at start, when no worker
  /// can be alive). Each has suffered an interruption. A job fails instead with the one that is number `maximumAttempts`
  /// of those that it suffered while it ran alone.
  func requeueAbandoned(before now: Timestamp?, maximumAttempts: Int, at time: Timestamp) throws -> [RequeuedJob]

  /// What waits and runs now.
  func load() async throws -> JobLoad

  /// Commits a write that changes nothing of a job; throws when the store takes no writes.
  func probe(at now: Timestamp) async throws

  /// The ids of all succeeded jobs: those whose output folders may stay. For the sweep at start.
  func succeededJobs() throws -> Set<Identifier>
}

/// What a listing asks for; nil means any.
package struct JobFilter: Sendable, Hashable {
  package var status: JobStatus?
  package var model: String?
  package var owner: String?
  package var sourceFormat: String?
  package var targetFormat: String?
  /// Submitted then or later.
  package var since: Timestamp?
  /// The beginning of an id or of a model's name.
  package var text: String?
  /// Jobs out of reach are passed over as if there were none.
  package var reach = Reach.everything

  package init(
    status: JobStatus? = nil, model: String? = nil, owner: String? = nil, sourceFormat: String? = nil,
    targetFormat: String? = nil, since: Timestamp? = nil, text: String? = nil, reach: Reach = Reach.everything
  ) {
    self.status = status
    self.model = model
    self.owner = owner
    self.sourceFormat = sourceFormat
    self.targetFormat = targetFormat
    self.since = since
    self.text = text
    self.reach = reach
  }
}

/// What a worker may take.
package struct ClaimBounds: Sendable, Hashable {
  /// Bytes of inputs at most; jobs whose inputs are not known yet are larger than any bound. Nil is any job.
  package var largestInput: Int?
  /// Jobs that one owner may have running, the new one included; nil is any number. Jobs of nobody are not counted.
  package var runningPerOwner: Int?
}

/// How a new job gets the outputs of an equal one.
package struct JobReuse: Sendable {
  /// Where to look for an equal job: never among those that the submitter may not see.
  package var reach = Reach.everything
  /// Makes the outputs of `equal` those of the new job; false when it cannot.
  package let share: @Sendable (_ equal: Job) throws -> Bool
  /// Takes back what `share` did when the transaction fails after it.
  package var undo: @Sendable () -> Void = {}

  package init(
    reach: Reach = Reach.everything, share: @escaping @Sendable (_ equal: Job) throws -> Bool,
    undo: @escaping @Sendable () -> Void = {}
  ) {
    self.reach = reach
    self.share = share
    self.undo = undo
  }
}

extension JobStore {
  /// Adds a job without a key that is always run.
  package func insert(_ job: Job, bringing uploads: [Upload]) async throws {
    _ = try await insert(job, bringing: uploads, key: nil, reuse: nil)
  }

  /// Adds a job whatever the load is.
  package func insert(
    _ job: Job, bringing uploads: [Upload], key: IdempotencyKey?, reuse: JobReuse?
  ) async throws -> Insertion {
    try await insert(job, bringing: uploads, key: key, reuse: reuse, admit: nil)
  }

  /// Ends a job as succeeded whose outputs need no undoing.
  package func complete(_ lease: Lease, with result: JobResult, at now: Timestamp, publish: () throws -> Void) throws
    -> Bool
  {
    try complete(lease, with: result, at: now, publish: publish, undo: {})
  }

  /// Puts a job back after a fault, as one of its retries.
  package func postpone(
    _ lease: Lease, at now: Timestamp, until time: Timestamp, because error: Fault
  ) throws -> Bool {
    try postpone(lease, at: now, until: time, because: error, isCounted: true)
  }

  /// Takes any queued job.
  package func claim(worker: String, at now: Timestamp, leaseUntil: Timestamp) throws -> ClaimedJob? {
    try claim(worker: worker, at: now, leaseUntil: leaseUntil, within: ClaimBounds())
  }
}

/// How much work there is.
package struct JobLoad: Sendable, Hashable {
  /// Queued or running jobs of one model, by the name that the client used.
  package struct Entry: Sendable, Hashable {
    package let status: JobStatus
    package let model: String
    package let count: Int

    package init(status: JobStatus, model: String, count: Int) {
      self.status = status
      self.model = model
      self.count = count
    }
  }

  package var active: [Entry]
  /// When the queued job that has waited for longest became due: when it was submitted, or when its pause ended. Later
  /// than now when all of them pause.
  package var longestDue: Timestamp?

  package init(active: [Entry], longestDue: Timestamp? = nil) {
    self.active = active
    self.longestDue = longestDue
  }
}

/// The right of one worker to end one attempt of a job.
package struct Lease: Sendable, Hashable {
  package let job: Identifier
  package let fence: Int

  package init(job: Identifier, fence: Int) {
    self.job = job
    self.fence = fence
  }
}

/// A job together with the lease on it.
package struct ClaimedJob: Sendable {
  package let job: Job
  package let lease: Lease

  package init(job: Job, lease: Lease) {
    self.job = job
    self.lease = lease
  }
}

/// What a successful attempt leaves behind.
package struct JobResult: Sendable {
  package var outputs: [JobOutput]
  package var warnings: [String]
  package var progress: JobProgress
}

/// What came of a submission.
package enum Insertion: Sendable, Hashable {
  /// The job is new.
  case added(Job)
  /// The job was submitted before under the same key.
  case repeated(Job)
}

/// What came of a cancellation.
package enum CancelOutcome: Sendable, Hashable {
  /// The job was queued or running and is cancelled now.
  case cancelled(Job)
  /// The job had ended before.
  case ended(Job)
  /// There is no such job.
  case missing
}

/// A job whose worker is gone.
package struct RequeuedJob: Sendable, Hashable {
  package let id: Identifier
  /// By the name that the client used.
  package let model: String
  /// `queued`, or `failed` when it has no attempts left.
  package let status: JobStatus

  package init(id: Identifier, model: String, status: JobStatus) {
    self.id = id
    self.model = model
    self.status = status
  }
}

/// A job whose record cannot be understood: the database was edited, or a version that knew more wrote it.
package struct UnreadableJob: Error {
  package let id: Identifier
  package let model: String
  package let cause: any Error

  package init(id: Identifier, model: String, cause: any Error) {
    self.id = id
    self.model = model
    self.cause = cause
  }
}

extension Fault {
  /// What a job says whose record nobody can read.
  package static let unreadableJob = Fault(.internal, "the record of the job cannot be read; submit it again")

  /// The error of a job that was marked failed because the service stopped `times` times while it ran alone.
  package static func interrupted(times: Int) -> Fault {
    Fault(.internal, "the service stopped \(times) times while it ran this job alone; it was given up")
  }
}

/// What a store refuses.
package enum JobStoreError: Error, Hashable {
  /// No such upload.
  case unknownUpload(Identifier)
  /// The idempotency key belongs to a job with another content.
  case keyTaken
}
