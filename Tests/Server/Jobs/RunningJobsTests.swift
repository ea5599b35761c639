import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Running jobs")
struct RunningJobsTests {
  private let job = Identifier.generate()

  @Test("An attempt whose lease was taken over stops, though the job runs again, and its end leaves the new one alone")
  func takenOver() {
    let running = RunningJobs()
    let old = running.begin(Lease(job: job, fence: 1))
    old.reportFetching(done: 5, total: 9)
    #expect(running.progress(of: job)?.bytesDone == 5)
    let new = running.begin(Lease(job: job, fence: 3))
    new.reportFetching(done: 7, total: 9)
    #expect(old.stopReason == .leaseLost)
    #expect(new.stopReason == nil)
    #expect(running.progress(of: job)?.bytesDone == 7)
    #expect(Set(running.leases) == [old.lease, new.lease])
    running.end(old)
    #expect(running.leases == [new.lease])
    running.stop(old.lease)
    #expect(new.stopReason == nil)
    running.stop(new.lease)
    #expect(new.stopReason == .leaseLost)
    running.end(new)
    #expect(running.progress(of: job) == nil)
  }

  @Test("A lost lease stops its attempt alone; a cancellation stops every attempt of its job and no other job")
  func stopping() {
    let running = RunningJobs()
    let other = running.begin(Lease(job: .generate(), fence: 1))
    let attempt = running.begin(Lease(job: job, fence: 2))
    running.stop(Lease(job: job, fence: 1))
    #expect(!attempt.isCancelled)
    running.stop(job, .cancelled)
    #expect(attempt.stopReason == .cancelled)
    #expect(!other.isCancelled)
    running.stopAll(.shutdown)
    #expect(attempt.stopReason == .cancelled, "the first reason stays")
    #expect(other.stopReason == .shutdown)
  }
}
