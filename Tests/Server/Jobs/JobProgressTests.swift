import Core
import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Progress of an attempt")
struct JobProgressTests {
  @Test("Each phase has the time at which it was first reported")
  func phases() throws {
    var progress = JobProgress()
    for (phase, time) in [
      (ConversionProgress.Phase.planning, 1000), (.converting, 2000), (.converting, 3000), (.publishing, 4000),
    ] {
      var next = JobProgress(ConversionProgress(phase: phase))
      next.follow(progress, at: Timestamp(milliseconds: time))
      progress = next
    }
    #expect(progress.phases?.mapValues(\.milliseconds) == ["planning": 1000, "converting": 2000, "publishing": 4000])
    #expect(try JSONBody.decode(JobProgress.self, from: JSONBody.text(progress)) == progress)
  }

  @Test("Progress that a former version stored has no times")
  func formerVersion() throws {
    let text = #"{"bytes_done":1,"bytes_total":2,"tensors_done":3,"tensors_total":4}"#
    let progress = try JSONBody.decode(JobProgress.self, from: text)
    #expect(progress == JobProgress(bytesDone: 1, bytesTotal: 2, tensorsDone: 3, tensorsTotal: 4))
  }

  @Test("An attempt keeps the counts of the conversion, and all times, while it publishes")
  func attempt() {
    let attempt = Attempt(lease: Lease(job: .generate(), fence: 1))
    attempt.reportFetching(done: 1, total: 2)
    var converting = ConversionProgress(phase: .converting)
    converting.tensorsTotal = 7
    attempt.report(converting)
    attempt.report(ConversionProgress(phase: .publishing))
    #expect(attempt.progress.phase == "publishing")
    #expect(attempt.progress.tensorsTotal == 7)
    #expect(Set(attempt.progress.phases?.keys.map { $0 } ?? []) == ["fetching", "converting", "publishing"])
  }
}
