import Testing

@testable import API
@testable import APIClient
@testable import Core
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
    #expect(line(done: 500, of: 1000) == "converting [\(cells)] 50% 500 B/1.0 KB 250 B/s 0:02 left, 1/2 tensors")
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
      #expect(
        line(done: done, of: 1000) == "converting [\(full)] 100% 1.0 KB/1.0 KB 500 B/s 0:00 left, 1/2 tensors",
        "\(done)")
    }
    let empty = String(repeating: ".", count: 30)
    #expect(line(done: -1, of: 1000) == "converting [\(empty)] 0% 0 B/1.0 KB, 1/2 tensors")
    #expect(line(done: 1, of: .max).contains(" 5999:59 left"))
  }

  @Test("Every phase has its bar; a phase that counts no bytes has its name alone")
  func phases() {
    for phase in ConversionProgress.Phase.allCases where phase != .converting {
      var progress = ConversionProgress(phase: phase)
      let name = phase.rawValue
      #expect(ProgressBar.line(progress, elapsed: .seconds(1), width: 80) == "\(name) ...")
      (progress.bytesDone, progress.bytesTotal) = (750, 1000)
      let line = ProgressBar.line(progress, elapsed: .seconds(3), width: 80)
      #expect(line.hasPrefix("\(name) [####") && line.hasSuffix("] 75% 750 B/1.0 KB 250 B/s 0:01 left"), "\(line)")
      #expect(line.count <= 80)
      #expect(ProgressBar.line(progress, elapsed: .seconds(3), width: 40).hasPrefix("\(name) 75% 750 B/1.0 KB"))
    }
  }

  @Test("What was done before somebody looked is no part of the rate")
  func joinedLate() {
    var progress = ConversionProgress(phase: .digesting)
    (progress.bytesDone, progress.bytesTotal) = (900, 1000)
    let line = ProgressBar.line(progress, from: 800, elapsed: .seconds(2), width: 80)
    #expect(line.hasSuffix(" 90% 900 B/1.0 KB 50 B/s 0:02 left"), "\(line)")
  }

  @Test("The last line says what was written, how large it is and how fast that went")
  func summary() {
    func result(_ sizes: Int...) -> ConversionResult {
      let files = sizes.map { OutputFile(name: "a", path: "/a", size: $0) }
      return ConversionResult(checkpoints: [], configs: [], files: files, warnings: [])
    }
    #expect(
      ProgressBar.summary(result(2_000_000, 500), in: .milliseconds(2500))
        == "Wrote 2 files, 2.0 MB, in 2.5 s, 800.2 KB/s")
    #expect(ProgressBar.summary(result(5), in: .zero) == "Wrote 1 file, 5 B, in 0.0 s")
  }
}
