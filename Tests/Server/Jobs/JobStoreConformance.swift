import Foundation
import HTTPTypes
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
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
      var job = Job(
        id: .generate(at: time), command: .convert, model: model, sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{\"a\": 1.0}", FileName("config.json")!), checkpoint: checkpoint,
        options: options, createdAt: time, ownership: Ownership(owner: owner))
      job.inputBytes = inputBytes
      job.webhook = webhook
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

  static let fault = Fault(.fetchFailed, "no luck")
  static let result = JobResult(
    outputs: [JobOutput(name: FileName("a.mdl")!, size: 3, sha256: "ab")], warnings: ["Key not matched: x"],
    progress: JobProgress(bytesDone: 3, bytesTotal: 3, tensorsDone: 1, tensorsTotal: 1))
  static let now = Timestamp(milliseconds: 3_000_000)
  /// Before every moment at which a test claims.
  static let early = Timestamp(milliseconds: 1)

  func upload(_ name: String = "x.bin") -> Upload {
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
    #expect(try subject.jobs.brought(by: job.id) == [own.id])
    #expect(try await subject.jobs.delete(job.id) == [own.id])
    #expect(try await subject.jobs.job(job.id) == nil)
    #expect(try await subject.jobs.delete(job.id) == nil)
    #expect(try subject.uploads.uploads() == [shared.id])
    #expect(try await subject.jobs.job(other.id) != nil)
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
  var withoutText: Job {
    var job = self
    job.config = config.withoutText
    return job
  }
}
