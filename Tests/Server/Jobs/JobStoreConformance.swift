import Foundation
import HTTPTypes
import Synchronization
import SystemPackage
import Testing

@testable import Core
@testable import Server

/// What every job store must do. A second implementation adds its factory here and passes.
@Suite("Job store conformance")
struct JobStoreConformance {
  /// A store with a fresh database.
  struct Subject {
    let jobs: any JobStore
    let uploads: any UploadStore
    let webhooks: any WebhookStore
    let folder: TemporaryFolder

    init() throws {
      folder = try TemporaryFolder()
      let database = try Database(path: folder.path.appending("test.sqlite").string)
      let store = SQLiteJobStore(database: database)
      jobs = store
      webhooks = store
      uploads = SQLiteUploadStore(database: database)
    }

    /// Adds a queued job; each is a millisecond younger than the one before.
    @discardableResult
    func add(
      _ index: Int = 0, model: String = "gpt2", checkpoint: [JobInput] = [], bringing: [Upload] = [],
      owner: String? = nil, inputBytes: Int? = nil, webhook: Webhook? = nil
    ) async throws -> Job {
      let time = Timestamp(milliseconds: 1_000_000 + index)
      var options = ConversionOptions()
      options.dropUnmatchedKeys = true
      options.outputFormat = .hdf5
      let job = Job(
        id: .generate(at: time), command: .convert, model: model, sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{\"a\": 1.0}", FileName("config.json")!), checkpoint: checkpoint,
        options: options, createdAt: time, ownership: Ownership(owner: owner), inputBytes: inputBytes,
        webhook: webhook)
      try await jobs.insert(job, bringing: bringing)
      return job
    }

    func claim(
      at now: Int = 2_000_000, lease: Int = 1000, within bounds: ClaimBounds = ClaimBounds()
    ) throws -> ClaimedJob? {
      try jobs.claim(
        worker: "test", at: Timestamp(milliseconds: now), leaseUntil: Timestamp(milliseconds: now + lease),
        within: bounds)
    }
  }

  private static let problem = Problem(.badGateway, ProblemCode(.fetchFailed), "no luck").document
  private static let result = JobResult(
    outputs: [JobOutput(name: FileName("a.mdl")!, size: 3, sha256: "ab")], warnings: ["Key not matched: x"],
    progress: JobProgress(bytesDone: 3, bytesTotal: 3, tensorsDone: 1, tensorsTotal: 1))
  private static let now = Timestamp(milliseconds: 3_000_000)

  private func upload(_ name: String = "x.bin") -> Upload {
    Upload(id: .generate(), name: FileName(name)!, size: 7, sha256: "cd", createdAt: Timestamp(milliseconds: 5))
  }

  @Test("A job comes back as it was put in")
  func roundTrip() async throws {
    let subject = try Subject()
    let file = upload()
    try await subject.uploads.insert(file)
    let url = try SourceURL("https://example.org/a/b.safetensors?sig=1")
    let job = try await subject.add(
      checkpoint: [.upload(file.id, file.name), .url(url, FileName("b.safetensors")!)])
    #expect(try await subject.jobs.job(job.id) == job.withoutText)
    #expect(try await subject.jobs.job(.generate()) == nil)
  }

  @Test("The text of an inline config is for the worker alone, in each attempt, whatever becomes of other inputs")
  func inlineConfig() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    #expect(job.config == .inline("{\"a\": 1.0}", FileName("config.json")!))
    let hidden = JobInput.inline(nil, FileName("config.json")!)
    for _ in 0..<2 {
      let claim = try #require(try subject.claim())
      #expect(claim.job.config == job.config)
      #expect(try await subject.jobs.job(job.id)?.config == hidden)
      #expect(try await subject.jobs.jobs(matching: JobFilter(), after: nil, limit: 9).map(\.config) == [hidden])
      let url = JobInput.url(try SourceURL("https://example.org/x.bin"), FileName("x.bin")!)
      #expect(try subject.jobs.replaceInputs(claim.lease, config: claim.job.config, checkpoint: [url]))
      #expect(try await subject.jobs.job(job.id)?.inputs == [hidden, url])
      #expect(try subject.jobs.release(claim.lease, isCounted: true))
    }
  }

  @Test("The oldest job is claimed first, with an attempt and a growing fence")
  func claimOrder() async throws {
    let subject = try Subject()
    let first = try await subject.add(0)
    let second = try await subject.add(1)
    let claim = try #require(try subject.claim())
    #expect(claim.job.id == first.id)
    #expect(claim.job.status == .running)
    #expect(claim.job.attempt == 1)
    #expect(claim.job.startedAt == Timestamp(milliseconds: 2_000_000))
    #expect(try subject.claim()?.job.id == second.id)
    #expect(try subject.claim() == nil)

    #expect(try subject.jobs.release(claim.lease, isCounted: true))
    let again = try #require(try subject.claim())
    #expect(again.job.id == first.id)
    #expect(again.job.attempt == 2)
    #expect(again.lease.fence > claim.lease.fence)
  }

  @Test("Owners take turns, each with the oldest of the jobs; a new owner does not wait for the queue of another")
  func turns() async throws {
    let subject = try Subject()
    let owners = ["ann", "ann", "ann", nil, "ben", nil, "ann", "ben"]
    for (index, owner) in owners.enumerated() { try await subject.add(index, owner: owner) }
    func next() throws -> String { try subject.claim().map { "\($0.job.ownership.owner ?? "-")" } ?? "none" }
    #expect(try (0..<4).map { _ in try next() } == ["ann", "-", "ben", "ann"])
    try await subject.add(8, owner: "cem")
    #expect(try (0..<6).map { _ in try next() } == ["cem", "-", "ben", "ann", "ann", "none"])
  }

  @Test("Bounds: the size of the inputs, where an unknown one is large, and the running jobs of an owner")
  func bounds() async throws {
    let subject = try Subject()
    let unknown = try await subject.add(0, owner: "ann")
    let large = try await subject.add(1, owner: "ann", inputBytes: 101)
    let small = try await subject.add(2, owner: "ann", inputBytes: 100)
    let other = try await subject.add(3, owner: "ben", inputBytes: 7)
    let nobody = [try await subject.add(4), try await subject.add(5)].map(\.id)
    #expect(try subject.claim(within: ClaimBounds(largestInput: 100))?.job.id == small.id)
    #expect(try subject.claim(within: ClaimBounds(largestInput: 100))?.job.id == other.id)
    #expect(try subject.claim(within: ClaimBounds(largestInput: 100)) == nil)
    let one = ClaimBounds(runningPerOwner: 1)
    #expect(try subject.claim(within: one)?.job.id == nobody[0])
    #expect(try subject.claim(within: one)?.job.id == nobody[1], "nobody is not one owner")
    #expect(try subject.claim(within: one) == nil, "ann has one running")
    let two = ClaimBounds(runningPerOwner: 2)
    let claim = try #require(try subject.claim(within: two))
    #expect(claim.job.id == unknown.id)
    #expect(try subject.claim(within: two) == nil)
    #expect(try subject.jobs.release(claim.lease, isCounted: true))
    _ = try await subject.jobs.cancel(unknown.id, at: Self.now)
    #expect(try subject.claim(within: two)?.job.id == large.id)
  }

  @Test("Admission sees the load with the new job in it, and what it refuses is not added; the rest is not asked")
  func admission() async throws {
    struct Full: Error {}
    let subject = try Subject()
    try await subject.uploads.insert(
      Upload(
        id: .generate(), name: FileName("x")!, size: 40, sha256: "ab", createdAt: Self.now,
        ownership: Ownership(owner: "ann")))
    try await subject.add(0, owner: "ben")
    try await subject.add(1, owner: "ann")
    func insert(_ index: Int, key: String? = nil, isAdmitted: Bool, reuses: Bool = false) async throws -> [Int]? {
      let time = Timestamp(milliseconds: 1_000_000 + index)
      var file = upload()
      file.ownership.owner = "ann"
      var job = Job(
        id: .generate(at: time), command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", FileName("config.json")!), checkpoint: [.upload(file.id, file.name)],
        options: ConversionOptions(), createdAt: time, ownership: Ownership(owner: "ann"))
      job.fingerprint = "f"
      let seen = Mutex<[Int]?>(nil)
      let reuse = reuses ? JobReuse { _ in true } : nil
      _ = try await subject.jobs.insert(
        job, bringing: [file], key: key.map { IdempotencyKey(key: $0, digest: "d") }, reuse: reuse
      ) { load in
        let numbers = [try load.queued(), try load.ownQueued(), try load.ownBytes()]
        seen.withLock { $0 = numbers }
        guard isAdmitted else { throw Full() }
      }
      return seen.withLock { $0 }
    }
    await #expect(throws: Full.self) { _ = try await insert(2, isAdmitted: false) }
    #expect(try await subject.jobs.load().active.map(\.count) == [2])
    #expect(try subject.uploads.uploads().count == 1)
    #expect(try await subject.uploads.storedBytes(of: "ann") == 40)
    #expect(try await insert(3, key: "k", isAdmitted: true) == [3, 2, 47])
    #expect(try await insert(4, key: "k", isAdmitted: false) == nil, "it is there already")
    while let claim = try subject.claim() {
      _ = try subject.jobs.complete(claim.lease, with: Self.result, at: Self.now) {}
    }
    #expect(try await insert(5, isAdmitted: false, reuses: true) == nil, "it does not wait")
    let outputs = Self.result.outputs.reduce(0) { $0 + $1.size }
    // The uploads of the reused job went: nothing is going to read them.
    #expect(try await subject.uploads.storedBytes(of: "ann") == 40 + 7 + 3 * outputs)
    #expect(try await subject.uploads.storedBytes(of: "nobody") == 0)
  }

  @Test("A job that was given back on shutdown does not count as attempted")
  func uncounted() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim())
    #expect(try subject.jobs.release(claim.lease, isCounted: false))
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.status == .queued)
    #expect(stored.attempt == 0)
    #expect(stored.startedAt == nil)
  }

  @Test("Eight threads claim a hundred jobs, each once")
  func claimOnce() async throws {
    let subject = try Subject()
    for index in 0..<100 { try await subject.add(index) }
    let claimed = Mutex<[Identifier]>([])
    let failures = Mutex(0)
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      let group = DispatchGroup()
      for _ in 0..<8 {
        group.enter()
        Thread {
          do {
            while let claim = try subject.claim() { claimed.withLock { $0.append(claim.job.id) } }
          } catch {
            failures.withLock { $0 += 1 }
          }
          group.leave()
        }.start()
      }
      group.notify(queue: .global()) { done.resume() }
    }
    let ids = claimed.withLock { $0 }
    #expect(failures.withLock { $0 } == 0)
    #expect(ids.count == 100)
    #expect(Set(ids).count == 100)
  }

  @Test("Completing stores outputs and warnings, and publishes once")
  func complete() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim())
    var published = 0
    #expect(try subject.jobs.complete(claim.lease, with: Self.result, at: Self.now) { published += 1 })
    #expect(try subject.jobs.complete(claim.lease, with: Self.result, at: Self.now) { published += 1 } == false)
    #expect(published == 1)
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.status == .succeeded)
    #expect(stored.outputs == Self.result.outputs)
    #expect(stored.warnings == Self.result.warnings)
    #expect(stored.progress == Self.result.progress)
    #expect(stored.finishedAt == Self.now)
    #expect(try subject.jobs.succeededJobs() == [job.id])
  }

  @Test("When publishing fails, the job stays running")
  func publishFails() async throws {
    struct Full: Error {}
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim())
    #expect(throws: Full.self) {
      _ = try subject.jobs.complete(claim.lease, with: Self.result, at: Self.now) { throw Full() }
    }
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.status == .running)
    #expect(stored.outputs.isEmpty)
    #expect(try subject.jobs.fail(claim.lease, with: Self.problem, progress: nil, at: Self.now))
  }

  @Test("A postponed job waits for its time, with the error, which the next claim clears")
  func postpone() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim(at: 2_000_000))
    let due = Timestamp(milliseconds: 2_500_000)
    #expect(try subject.jobs.postpone(claim.lease, until: due, because: Self.problem))
    #expect(try subject.jobs.postpone(claim.lease, until: due, because: Self.problem) == false)
    let waiting = try #require(try await subject.jobs.job(job.id))
    #expect(waiting.status == .queued)
    #expect(waiting.attempt == 1)
    #expect(waiting.error == Self.problem)
    #expect(waiting.notBefore == due)
    #expect(try subject.claim(at: 2_499_999) == nil)
    let again = try #require(try subject.claim(at: 2_500_000))
    #expect(again.job.attempt == 2)
    #expect(again.job.error == nil)
    #expect(again.job.notBefore == nil)
    #expect(again.lease.fence > claim.lease.fence)
  }

  @Test("A wall clock that was set back keeps no job waiting until it has caught up")
  func clockSetBack() async throws {
    let subject = try Subject()
    try await subject.add()
    let claim = try #require(try subject.claim(at: 10))
    let due = Timestamp(milliseconds: 2_500_000)
    #expect(try subject.jobs.postpone(claim.lease, until: due, because: Self.problem))
    // The longest pause is 900 s: what lies beyond it is no pause.
    #expect(try subject.claim(at: 1_600_000) == nil)
    #expect(try subject.claim(at: 1_599_999) != nil)
  }

  @Test("Inputs are replaced by more exact ones, and stay so")
  func replacingInputs() async throws {
    let subject = try Subject()
    var hub = HubInput(reference: try HubReference(repository: "owner/name"))
    let name = try #require(FileName("name"))
    let job = try await subject.add(checkpoint: [.hub(hub, name)])
    let lease = try #require(try subject.claim()).lease
    hub.commit = String(repeating: "ab", count: 20)
    #expect(try subject.jobs.replaceInputs(lease, config: .hub(hub, name), checkpoint: [.hub(hub, name)]))
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.config == .hub(hub, name))
    #expect(stored.checkpoint == [.hub(hub, name)])
    #expect(try subject.jobs.release(lease, isCounted: false))
    #expect(try !subject.jobs.replaceInputs(lease, config: job.config, checkpoint: []))
    #expect(try subject.claim()?.job.config == .hub(hub, name))
  }

  @Test("A failed job keeps its problem")
  func fail() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim())
    let progress = JobProgress(bytesDone: 1, bytesTotal: 2)
    #expect(try subject.jobs.fail(claim.lease, with: Self.problem, progress: progress, at: Self.now))
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.status == .failed)
    #expect(stored.error == Self.problem)
    #expect(stored.progress == progress)
  }

  @Test("A stale lease changes nothing")
  func fencing() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let stale = try #require(try subject.claim()).lease
    #expect(try subject.jobs.requeueAbandoned(before: Self.now, maximumAttempts: 9, at: Self.now).count == 1)
    let current = try #require(try subject.claim()).lease
    #expect(try subject.jobs.holds(current))
    #expect(try !subject.jobs.holds(stale))
    #expect(try subject.jobs.complete(stale, with: Self.result, at: Self.now) { Issue.record("published") } == false)
    #expect(try subject.jobs.fail(stale, with: Self.problem, progress: nil, at: Self.now) == false)
    #expect(try subject.jobs.release(stale, isCounted: true) == false)
    #expect(try subject.jobs.extend([stale, current], until: Self.now) == [stale])
    #expect(try await subject.jobs.job(job.id)?.status == .running)
    #expect(try subject.jobs.complete(current, with: Self.result, at: Self.now) {})
  }

  @Test("Leases end when they say, and not before; extending helps")
  func leases() async throws {
    let subject = try Subject()
    try await subject.add()
    let lease = try #require(try subject.claim(at: 1_000_000, lease: 100)).lease
    func abandoned(at time: Int) throws -> Int {
      let time = Timestamp(milliseconds: time)
      return try subject.jobs.requeueAbandoned(before: time, maximumAttempts: 9, at: time).count
    }
    #expect(try abandoned(at: 1_000_100) == 0)
    #expect(try subject.jobs.extend([lease], until: Timestamp(milliseconds: 1_002_000)) == [])
    #expect(try abandoned(at: 1_001_500) == 0)
    #expect(try abandoned(at: 1_002_001) == 1)
  }

  /// The service dies and starts again.
  private func crash(_ subject: Subject, maximumAttempts: Int = 3) throws -> [RequeuedJob] {
    try subject.jobs.requeueAbandoned(before: nil, maximumAttempts: maximumAttempts, at: Self.now)
  }

  @Test("At start every running job is put back, and what interrupted it is counted; what waits is left alone")
  func restart() async throws {
    let subject = try Subject()
    let jobs = [try await subject.add(0), try await subject.add(1), try await subject.add(2, model: "gptj")]
    for _ in 0..<2 { _ = try subject.claim() }
    let requeued = jobs[..<2].map { RequeuedJob(id: $0.id, model: "gpt2", status: .queued) }
    #expect(Set(try crash(subject)) == Set(requeued))
    #expect(try crash(subject).isEmpty)
    for (job, count) in zip(jobs, [1, 1, 0]) {
      let stored = try #require(try await subject.jobs.job(job.id))
      #expect(stored.status == .queued)
      #expect(stored.interruptions == count)
      #expect(stored.attempt == count)
      #expect(stored.startedAt == nil)
    }
  }

  @Test("A job that takes the service down takes no other with it: from the third time on each runs alone")
  func suspicion() async throws {
    let subject = try Subject()
    // The owners take turns, so the poison is not always first.
    let poison = try await subject.add(0, owner: "ann")
    let innocent = [try await subject.add(1, owner: "ben"), try await subject.add(2, owner: "cem")]
    for _ in 0..<2 {
      for _ in 0..<3 { #expect(try subject.claim() != nil, "nobody is under suspicion yet") }
      _ = try crash(subject)
    }
    let fresh = try await subject.add(3, owner: "dan")
    var crashes = 0
    var ended: [Identifier] = []
    while let claim = try subject.claim() {
      #expect(claim.job.interruptions >= 2 || ended.count == 3, "a job that is under suspicion comes first")
      if claim.job.interruptions >= 2 { #expect(try subject.claim() == nil, "it runs alone") }
      if claim.job.id == poison.id {
        crashes += 1
        let given = try crash(subject)
        let status = crashes < 3 ? JobStatus.queued : .failed
        #expect(given == [RequeuedJob(id: poison.id, model: "gpt2", status: status)])
        if status == .failed { ended.append(poison.id) }
      } else {
        #expect(try subject.jobs.complete(claim.lease, with: Self.result, at: Self.now) {})
        ended.append(claim.job.id)
      }
    }
    #expect(crashes == 3)
    #expect(Set(ended) == Set([poison, fresh].map(\.id) + innocent.map(\.id)))
    #expect(ended.last == fresh.id)
    let given = try #require(try await subject.jobs.job(poison.id))
    #expect(given.error?.code == .internal)
    #expect(given.error?.detail.contains("3 times") == true)
    #expect(given.interruptions == 5)
  }

  @Test(
    "A job under suspicion waits for those that run, nothing begins meanwhile, and a pause of its own holds up nobody")
  func suspicionInCompany() async throws {
    let subject = try Subject()
    let suspect = try await subject.add(0)
    for _ in 0..<2 {
      _ = try subject.claim()
      _ = try crash(subject)
    }
    let lease = try #require(try subject.claim()).lease
    #expect(try subject.jobs.postpone(lease, until: Timestamp(milliseconds: 2_500_000), because: Self.problem))
    let other = try await subject.add(1)
    let waiting = try await subject.add(2)
    let running = try #require(try subject.claim(at: 2_400_000))
    #expect(running.job.id == other.id)
    #expect(try subject.claim(at: 2_500_000) == nil, "the suspect is due and cannot be alone")
    #expect(try subject.jobs.complete(running.lease, with: Self.result, at: Self.now) {})
    let alone = try #require(try subject.claim(at: 2_500_000))
    #expect(alone.job.id == suspect.id)
    #expect(try subject.claim(at: 2_500_000) == nil)
    #expect(try subject.jobs.complete(alone.lease, with: Self.result, at: Self.now) {})
    #expect(try subject.claim(at: 2_500_000)?.job.id == waiting.id)
  }

  @Test("Interruptions use up no retries, and waiting for others neither")
  func counters() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    _ = try subject.claim()
    _ = try crash(subject)
    for isCounted in [true, false, true] {
      let lease = try #require(try subject.claim()).lease
      let now = Timestamp(milliseconds: 2_000_000)
      #expect(try subject.jobs.postpone(lease, until: now, because: Self.problem, isCounted: isCounted))
    }
    let claim = try #require(try subject.claim())
    #expect(claim.job.id == job.id)
    #expect(claim.job.retries == 2)
    #expect(claim.job.interruptions == 1)
    #expect(claim.job.attempt == 5)
    #expect(try subject.jobs.release(claim.lease, isCounted: false))
    #expect(try await subject.jobs.job(job.id)?.attempt == 4)
  }

  @Test("Cancelling ends queued and running jobs and makes the lease stale")
  func cancel() async throws {
    let subject = try Subject()
    let running = try await subject.add(0)
    let queued = try await subject.add(1)
    let lease = try #require(try subject.claim()).lease
    for job in [running, queued] {
      guard case .cancelled(let stored) = try await subject.jobs.cancel(job.id, at: Self.now) else {
        Issue.record("not cancelled")
        return
      }
      #expect(stored.status == .cancelled)
      #expect(stored.finishedAt == Self.now)
      guard case .ended = try await subject.jobs.cancel(job.id, at: Self.now) else {
        Issue.record("not ended")
        return
      }
    }
    #expect(try await subject.jobs.cancel(.generate(), at: Self.now) == .missing)
    #expect(try subject.jobs.complete(lease, with: Self.result, at: Self.now) {} == false)
    #expect(try subject.claim() == nil)
  }

  @Test("Only ended jobs are deleted, with the uploads that came with them")
  func delete() async throws {
    let subject = try Subject()
    let own = upload()
    let shared = upload()
    let job = try await subject.add(
      0, checkpoint: [.upload(own.id, own.name), .upload(shared.id, shared.name)], bringing: [own, shared])
    let other = try await subject.add(1, checkpoint: [.upload(shared.id, shared.name)])
    #expect(try await subject.jobs.delete(job.id) == nil)
    _ = try await subject.jobs.cancel(job.id, at: Self.now)
    #expect(try await subject.jobs.delete(job.id) == [own.id])
    #expect(try await subject.jobs.job(job.id) == nil)
    #expect(try await subject.jobs.delete(job.id) == nil)
    #expect(try subject.uploads.uploads() == [shared.id])
    #expect(try await subject.jobs.job(other.id) != nil)
  }

  @Test("A job with an unknown upload is not added, nor are the uploads that came with it")
  func unknownUpload() async throws {
    let subject = try Subject()
    let missing = upload()
    await #expect(throws: JobStoreError.unknownUpload(missing.id)) {
      try await subject.add(checkpoint: [.upload(missing.id, missing.name)], bringing: [upload()])
    }
    #expect(try await subject.jobs.jobs(matching: JobFilter(), after: nil, limit: 10).isEmpty)
    #expect(try subject.uploads.uploads().isEmpty)
  }

  @Test("A key gives its job again, refuses another content, and goes with its job")
  func keys() async throws {
    let subject = try Subject()
    func insert(_ digest: String) async throws -> (Job, Insertion) {
      let time = Timestamp(milliseconds: 1_000_000)
      let job = Job(
        id: .generate(at: time), command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", FileName("config.json")!), checkpoint: [], options: ConversionOptions(), createdAt: time)
      let key = IdempotencyKey(key: "k", digest: digest)
      return (job, try await subject.jobs.insert(job, bringing: [upload()], key: key, reuse: nil))
    }
    let (job, first) = try await insert("a")
    #expect(first == .added(job))
    #expect(try await insert("a").1 == .repeated(job.withoutText))
    await #expect(throws: JobStoreError.keyTaken) { _ = try await insert("b") }
    #expect(try await subject.jobs.jobs(matching: JobFilter(), after: nil, limit: 9).count == 1)
    #expect(try subject.uploads.uploads().count == 1, "what came again is not added")
    _ = try await subject.jobs.cancel(job.id, at: Self.now)
    _ = try await subject.jobs.delete(job.id)
    let (other, again) = try await insert("b")
    #expect(again == .added(other))
  }

  @Test("An equal job has succeeded at once if its outputs can be had, and is queued if not")
  func reuse() async throws {
    let subject = try Subject()
    func insert(_ index: Int, _ fingerprint: String?, sharing isShared: Bool) async throws -> Job {
      let time = Timestamp(milliseconds: 1_000_000 + index)
      var job = Job(
        id: .generate(at: time), command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", FileName("config.json")!), checkpoint: [], options: ConversionOptions(), createdAt: time)
      job.fingerprint = fingerprint
      guard
        case .added(let added) = try await subject.jobs.insert(
          job, bringing: [], key: nil, reuse: JobReuse { _ in isShared })
      else { throw JobStoreError.keyTaken }
      #expect(added.id == job.id)
      return added
    }
    let first = try await insert(0, "f", sharing: true)
    #expect(first.status == .queued, "there is nothing to reuse yet")
    #expect(try await insert(1, "f", sharing: true).status == .queued, "a queued job has no outputs")
    let lease = try #require(try subject.claim()).lease
    #expect(try subject.jobs.complete(lease, with: Self.result, at: Self.now) {})

    let reused = try await insert(2, "f", sharing: true)
    #expect(reused.status == .succeeded)
    #expect(reused.isReused)
    #expect(reused.outputs == Self.result.outputs)
    #expect(reused.warnings == Self.result.warnings)
    #expect(reused.finishedAt == reused.createdAt)
    #expect(try subject.jobs.succeededJobs() == [first.id, reused.id])
    #expect(try await insert(3, "f", sharing: false).status == .queued)
    #expect(try await insert(4, "g", sharing: true).status == .queued)
    #expect(try await insert(5, nil, sharing: true).status == .queued)
  }

  @Test("A key is that of its owner, and an equal job is looked for within reach only")
  func owners() async throws {
    let subject = try Subject()
    func insert(_ index: Int, _ owner: String?, team: String? = nil, reach: Reach, key: String) async throws
      -> Insertion
    {
      let time = Timestamp(milliseconds: 1_000_000 + index)
      var job = Job(
        id: .generate(at: time), command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", FileName("config.json")!), checkpoint: [], options: ConversionOptions(), createdAt: time,
        ownership: Ownership(owner: owner, team: team))
      job.fingerprint = "f"
      return try await subject.jobs.insert(
        job, bringing: [], key: IdempotencyKey(key: key, digest: "d"), reuse: JobReuse(reach: reach) { _ in true })
    }
    guard case .added(let first) = try await insert(0, "ann", team: "red", reach: .own("ann"), key: "k") else {
      Issue.record("repeated")
      return
    }
    #expect(first.ownership == Ownership(owner: "ann", team: "red"))
    #expect(try await subject.jobs.job(first.id) == first.withoutText)
    let lease = try #require(try subject.claim()).lease
    #expect(try subject.jobs.complete(lease, with: Self.result, at: Self.now) {})

    for (index, owner, reach, isReused) in [
      (1, "ben", Reach.own("ben"), false), (2, "cem", .team(owner: "cem", team: "blue"), false),
      (3, "dan", .team(owner: "dan", team: "red"), true), (4, nil, .everything, true), (5, "ann", .own("ann"), nil),
    ] as [(Int, String?, Reach, Bool?)] {
      switch try await insert(index, owner, reach: reach, key: "k") {
      case .added(let job): #expect(job.isReused == isReused, "\(owner ?? "")")
      case .repeated(let job):
        #expect(isReused == nil, "\(owner ?? "")")
        #expect(job.id == first.id)
      }
    }
    func seen(_ reach: Reach) async throws -> [String?] {
      try await subject.jobs.jobs(matching: JobFilter(reach: reach), after: nil, limit: 9).map(\.ownership.owner)
    }
    #expect(try await seen(.everything) == [nil, "dan", "cem", "ben", "ann"])
    #expect(try await seen(.own("cem")) == ["cem"])
    #expect(try await seen(.team(owner: "dan", team: "red")) == ["dan", "ann"])
    #expect(try await seen(.own("")) == [])
  }

  @Test("Only jobs that ended before the moment and are not pinned expire")
  func expiry() async throws {
    let subject = try Subject()
    let job = try await subject.add(0)
    let queued = try await subject.add(1)
    _ = try await subject.jobs.cancel(job.id, at: Self.now)
    let later = Timestamp(milliseconds: Self.now.milliseconds + 1)
    #expect(try subject.jobs.expired(endedBefore: Self.now).isEmpty)
    #expect(try subject.jobs.expired(endedBefore: later) == [job.id])
    #expect(try await subject.jobs.pin(job.id, true)?.isPinned == true)
    #expect(try subject.jobs.expired(endedBefore: later).isEmpty)
    #expect(try subject.jobs.delete(job.id, endedBefore: later) == nil, "it was pinned meanwhile")
    #expect(try await subject.jobs.pin(job.id, false)?.isPinned == false)
    #expect(try subject.jobs.delete(queued.id, endedBefore: .init(milliseconds: .max)) == nil)
    #expect(try subject.jobs.delete(job.id, endedBefore: later) == [])
    #expect(try await subject.jobs.job(job.id) == nil)
    #expect(try await subject.jobs.pin(job.id, true) == nil)
  }

  @Test("A job that pauses is not late before its pause is over")
  func longestDue() async throws {
    let subject = try Subject()
    try await subject.add(0)
    let lease = try #require(try subject.claim()).lease
    let due = Timestamp(milliseconds: 2_500_000)
    #expect(try subject.jobs.postpone(lease, until: due, because: Self.problem))
    #expect(try await subject.jobs.load().longestDue == due)
    let younger = try await subject.add(1)
    #expect(try await subject.jobs.load().longestDue == younger.createdAt)
  }

  @Test("What queued and running jobs are expected to store counts, but for the job that asks")
  func expectedOutputs() async throws {
    let subject = try Subject()
    let first = try await subject.add(0, owner: "ann", inputBytes: 100)
    let second = try await subject.add(1, owner: "ann", inputBytes: 20)
    try await subject.add(2, owner: "ann")
    try await subject.add(3, owner: "ben", inputBytes: 7)
    #expect(try await subject.uploads.storedBytes(of: "ann") == 120)
    #expect(try subject.jobs.storedBytes(of: "ann", besides: second.id) == 100)
    let lease = try #require(try subject.claim()).lease
    #expect(lease.job == first.id)
    #expect(try await subject.uploads.storedBytes(of: "ann") == 120)
    #expect(try subject.jobs.complete(lease, with: Self.result, at: Self.now) {})
    #expect(try await subject.uploads.storedBytes(of: "ann") == 20 + 3, "now there are the outputs themselves")
    struct Full: Error {}
    var file = upload()
    file.ownership.owner = "ann"
    await #expect(throws: Full.self) {
      try await subject.uploads.insert(file) { stored in
        #expect(stored == 23)
        throw Full()
      }
    }
    #expect(try await subject.uploads.upload(file.id) == nil)
  }

  @Test("The load counts queued and running jobs by model, and knows the oldest that waits")
  func load() async throws {
    let subject = try Subject()
    #expect(try await subject.jobs.load() == JobLoad(active: [], longestDue: nil))
    for index in 0..<3 { try await subject.add(index) }
    try await subject.add(3, model: "gptj")
    _ = try subject.claim()
    let load = try await subject.jobs.load()
    #expect(
      Set(load.active) == [
        .init(status: .running, model: "gpt2", count: 1), .init(status: .queued, model: "gpt2", count: 2),
        .init(status: .queued, model: "gptj", count: 1),
      ])
    #expect(load.longestDue == Timestamp(milliseconds: 1_000_001))
    try await subject.jobs.probe(at: Self.now)
    try await subject.jobs.probe(at: Self.now)
  }

  @Test("Pages run from new to old, without gaps or repetitions, under every filter")
  func pages() async throws {
    let subject = try Subject()
    var ids: [Identifier] = []
    for index in 0..<25 { ids.append(try await subject.add(index, model: index % 2 == 0 ? "gpt2" : "gptj").id) }
    for _ in 0..<5 { _ = try subject.claim() }
    func all(_ filter: JobFilter) async throws -> [Identifier] {
      var found: [Identifier] = []
      while true {
        let page = try await subject.jobs.jobs(matching: filter, after: found.last, limit: 4)
        found += page.map(\.id)
        if page.count < 4 { return found }
      }
    }
    #expect(try await all(JobFilter()) == ids.reversed())
    #expect(try await all(JobFilter(status: .queued)) == ids[5...].reversed())
    #expect(
      try await all(JobFilter(model: "gptj"))
        == ids.enumerated().filter { $0.offset % 2 == 1 }.map(\.element).reversed())
    #expect(try await all(JobFilter(status: .running, model: "gpt2")) == [ids[4], ids[2], ids[0]])
    #expect(try await all(JobFilter(status: .failed)).isEmpty)
  }

  @Test("An upload is deleted unless a job that is not ended needs it")
  func uploads() async throws {
    let subject = try Subject()
    let file = upload()
    try await subject.uploads.insert(file)
    #expect(try await subject.uploads.upload(file.id) == file)
    let job = try await subject.add(checkpoint: [.upload(file.id, file.name)])
    #expect(try await subject.uploads.delete(file.id) == .inUse(by: job.id))
    _ = try await subject.jobs.cancel(job.id, at: Self.now)
    #expect(try await subject.uploads.delete(file.id) == .deleted)
    #expect(try await subject.uploads.delete(file.id) == .missing)
    #expect(try await subject.uploads.upload(file.id) == nil)
  }
}

extension Job {
  /// The job as readers get it.
  fileprivate var withoutText: Job {
    var job = self
    job.config = config.withoutText
    return job
  }
}
