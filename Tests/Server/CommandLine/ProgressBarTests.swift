import Core
import Testing

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
