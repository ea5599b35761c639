import Foundation
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

/// Claims, leases and ends of attempts.
extension JobStoreConformance {
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
    #expect(try subject.jobs.fail(claim.lease, with: Self.fault, progress: nil, at: Self.now))
  }

  @Test("A postponed job waits for its time, with the error, which the next claim clears")
  func postpone() async throws {
    let subject = try Subject()
    let job = try await subject.add()
    let claim = try #require(try subject.claim(at: 2_000_000))
    let due = Timestamp(milliseconds: 2_500_000)
    #expect(try subject.jobs.postpone(claim.lease, at: Self.early, until: due, because: Self.fault))
    #expect(try subject.jobs.postpone(claim.lease, at: Self.early, until: due, because: Self.fault) == false)
    let waiting = try #require(try await subject.jobs.job(job.id))
    #expect(waiting.status == .queued)
    #expect(waiting.attempt == 1)
    #expect(waiting.error == Self.fault)
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
    // As long as any server may ask for.
    let due = Timestamp(milliseconds: 2_000_000 + 86_400_000)
    #expect(
      try subject.jobs.postpone(
        claim.lease, at: Timestamp(milliseconds: 2_000_000), until: due, because: Self.fault))
    #expect(try subject.claim(at: 2_000_000) == nil)
    #expect(try subject.claim(at: due.milliseconds - 1) == nil)
    // At this time it was not postponed yet.
    #expect(try subject.claim(at: 1_999_999) != nil)
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
    #expect(try subject.jobs.fail(claim.lease, with: Self.fault, progress: progress, at: Self.now))
    let stored = try #require(try await subject.jobs.job(job.id))
    #expect(stored.status == .failed)
    #expect(stored.error == Self.fault)
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
    #expect(try subject.jobs.fail(stale, with: Self.fault, progress: nil, at: Self.now) == false)
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
    #expect(given.error?.message.contains("3 times") == true)
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
    #expect(
      try subject.jobs.postpone(lease, at: Self.early, until: Timestamp(milliseconds: 2_500_000), because: Self.fault)
    )
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
      #expect(try subject.jobs.postpone(lease, at: Self.early, until: now, because: Self.fault, isCounted: isCounted))
    }
    let claim = try #require(try subject.claim())
    #expect(claim.job.id == job.id)
    #expect(claim.job.retries == 2)
    #expect(claim.job.interruptions == 1)
    #expect(claim.job.attempt == 5)
    #expect(try subject.jobs.release(claim.lease, isCounted: false))
    #expect(try await subject.jobs.job(job.id)?.attempt == 4)
  }

  @Test("A job that pauses is not late before its pause is over")
  func longestDue() async throws {
    let subject = try Subject()
    try await subject.add(0)
    let lease = try #require(try subject.claim()).lease
    let due = Timestamp(milliseconds: 2_500_000)
    #expect(try subject.jobs.postpone(lease, at: Self.early, until: due, because: Self.fault))
    #expect(try await subject.jobs.load().longestDue == due)
    let younger = try await subject.add(1)
    #expect(try await subject.jobs.load().longestDue == younger.createdAt)
  }
}
