import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import Core
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

  @Test("Later phases count bytes of their own; at the end the counts of the conversion stay")
  func attempt() {
    let attempt = Attempt(lease: Lease(job: .generate(), fence: 1))
    attempt.reportFetching(done: 1, total: 2)
    var converting = ConversionProgress(phase: .converting)
    (converting.bytesDone, converting.bytesTotal) = (50, 50)
    (converting.tensorsDone, converting.tensorsTotal) = (7, 7)
    attempt.report(converting)
    var digesting = ConversionProgress(phase: .digesting)
    (digesting.bytesDone, digesting.bytesTotal) = (3, 120)
    attempt.report(digesting)
    #expect(attempt.progress.phase == "digesting")
    #expect(attempt.progress.bytesDone == 3 && attempt.progress.bytesTotal == 120)
    #expect(attempt.progress.tensorsDone == 7 && attempt.progress.tensorsTotal == 7)
    attempt.report(ConversionProgress(phase: .publishing))
    #expect(attempt.progress.phase == "publishing")
    #expect(attempt.progress.bytesTotal == 0 && attempt.progress.tensorsTotal == 7)
    let phases = Set(attempt.progress.phases?.keys.map { $0 } ?? [])
    #expect(phases == ["fetching", "converting", "digesting", "publishing"])
    let last = attempt.finalProgress
    #expect(last.phase == nil && last.bytesDone == 50 && last.bytesTotal == 50 && last.tensorsDone == 7)
    #expect(last.phases?.keys.contains("digesting") == true)
  }
}
