import Synchronization
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What is added, what comes again, and what is refused.
extension JobStoreConformance {
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
}
