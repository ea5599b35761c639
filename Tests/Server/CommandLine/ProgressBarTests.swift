import Core
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Progress bar")
struct ProgressBarTests {
  private func line(done: Int, of total: Int, after elapsed: Duration = .seconds(2)) -> String {
    var progress = ConversionProgress(phase: .converting)
    (progress.bytesDone, progress.bytesTotal) = (done, total)
    (progress.tensorsDone, progress.tensorsTotal) = (1, 2)
    return ProgressBar.line(progress, elapsed: elapsed, width: 100)
  }

  @Test("Bytes, rate and time left")
  func usual() {
    let cells = String(repeating: "#", count: 15) + String(repeating: ".", count: 15)
    #expect(line(done: 500, of: 1000) == "[\(cells)] 50% 500 B/1.0 KB 250 B/s 0:02 left, 1/2 tensors")
  }

  @Test("Percents and rates fit, whatever a service says")
  func huge() throws {
    #expect(ProgressBar.percent(.max, of: 1) == 100)
    #expect(ProgressBar.percent(.min, of: 1) == 0)
    #expect(ProgressBar.percent(1, of: 0) == nil)
    #expect(ProgressBar.percent(1, of: .min) == nil)
    #expect(line(done: .max, of: .max, after: .nanoseconds(1)).contains("100%"))
    let job = try JSONBody.decode(
      RemoteJob.self,
      from: #"""
        {"id":"\#(Identifier.generate())","url":"/v1/jobs/x","status":"running","command":"convert","model":"gpt2","src_fmt":"hf",
         "tgt_fmt":"cs-1.8","created_at":"2026-01-01T00:00:00.000Z","warnings":[],"outputs":[],"error":null,
         "progress":{"phase":"converting","bytes_done":9223372036854775807,"bytes_total":1,"tensors_done":9223372036854775807,
         "tensors_total":-1}}
        """#)
    #expect(StatusCommand.line(job).contains("running converting 100%  gpt2 hf -> cs-1.8"))
  }

  @Test("A service that says more than there is, or less than nothing, is shown as the end or the beginning")
  func impossible() {
    let full = String(repeating: "#", count: 30)
    for done in [1000, 1001, .max] {
      #expect(line(done: done, of: 1000) == "[\(full)] 100% 1.0 KB/1.0 KB 500 B/s 0:00 left, 1/2 tensors", "\(done)")
    }
    let empty = String(repeating: ".", count: 30)
    #expect(line(done: -1, of: 1000) == "[\(empty)] 0% 0 B/1.0 KB, 1/2 tensors")
    #expect(line(done: 1, of: .max).contains(" 5999:59 left"))
  }
}
