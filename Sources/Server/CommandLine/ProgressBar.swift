import Core
import Glibc
import Synchronization

/// One line on standard error: a bar for each phase, with bytes, rate and time left. Redrawn at most ten times a second.
final class ProgressBar: Sendable {
  /// What a bar is about, when that began, and how much was done by then.
  private struct Beginning {
    let what: String
    let time: ContinuousClock.Instant
    let done: Int
  }

  private struct State {
    var drawnAt: ContinuousClock.Instant?
    var beginning: Beginning?
  }

  private let state = Mutex(State())

  /// Shows how far a conversion is. Each phase begins anew.
  func show(_ progress: ConversionProgress) {
    show(progress.phase.rawValue, done: progress.bytesDone, total: progress.bytesTotal) { elapsed, before in
      Self.line(progress, from: before, elapsed: elapsed, width: Self.terminalWidth)
    }
  }

  /// Shows how far a file is on its way. Each file begins anew.
  func show(transfer what: String, done: Int, total: Int) {
    guard total > 0 else { return }
    show(what, done: done, total: total) { elapsed, before in
      let text = Self.text(what, from: before, done: done, total: total, elapsed: elapsed)
      return Self.bar("", done: done, total: total, text: text, width: Self.terminalWidth)
    }
    if done >= total { state.withLock { $0.beginning = nil } }
  }

  private func show(_ what: String, done: Int, total: Int, line: (_ elapsed: Duration, _ before: Int) -> String) {
    let now = ContinuousClock.now
    let beginning: Beginning? = state.withLock { state in
      var beginning = state.beginning ?? Beginning(what: what, time: now, done: done)
      let isNew = state.beginning == nil || beginning.what != what
      if isNew { beginning = Beginning(what: what, time: now, done: done) }
      state.beginning = beginning
      if let drawn = state.drawnAt, now - drawn < .milliseconds(100), !isNew, done < total { return nil }
      state.drawnAt = now
      return beginning
    }
    guard let beginning else { return }
    StandardError.write("\r\u{1B}[2K" + line(now - beginning.time, beginning.done))
  }

  /// Removes the line.
  func clear() {
    if state.withLock({ $0.drawnAt != nil }) { StandardError.write("\r\u{1B}[2K") }
  }

  /// The line for a moment of a phase that began `elapsed` ago, when `before` bytes were done.
  static func line(_ progress: ConversionProgress, from before: Int = 0, elapsed: Duration, width: Int) -> String {
    let phase = progress.phase.rawValue
    guard progress.bytesTotal > 0 else { return "\(phase) ..." }
    var text = text("", from: before, done: progress.bytesDone, total: progress.bytesTotal, elapsed: elapsed)
    if progress.phase == .converting { text += ", \(progress.tensorsDone)/\(progress.tensorsTotal) tensors" }
    return bar("\(phase) ", done: progress.bytesDone, total: progress.bytesTotal, text: text, width: width)
  }

  private static func text(_ what: String, from before: Int, done: Int, total: Int, elapsed: Duration) -> String {
    // A service may say anything.
    let done = min(max(done, 0), total)
    let seconds = elapsed / .seconds(1)
    let rate = seconds > 0 ? Double(done - min(max(before, 0), done)) / seconds : 0
    var text = what.isEmpty ? "" : " \(what)"
    text += " \(percent(done, of: total) ?? 0)% \(amount(Double(done)))/\(amount(Double(total)))"
    if rate > 0 {
      text += " \(amount(rate))/s"
      let left = Int(min(Double(total - done) / rate, 359_999).rounded(.up))
      text += " \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
    }
    return text
  }

  /// Whole percents from 0 to 100, whatever the numbers are; nil where there is nothing to be done. Numbers of a service may
  /// be anything.
  static func percent(_ done: Int, of total: Int) -> Int? {
    total > 0 ? Int(min(max(Double(done) / Double(total), 0), 1) * 100) : nil
  }

  private static func bar(_ label: String, done: Int, total: Int, text: String, width: Int) -> String {
    let cells = min(30, width - label.count - text.count - 3)
    guard cells >= 5 else { return String((label + text.dropFirst()).prefix(width - 1)) }
    let filled = Int(min(max(Double(done) / Double(total), 0), 1) * Double(cells))
    return label + "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: cells - filled) + "]"
      + text
  }

  /// What a conversion wrote, how large it is and how fast that went.
  static func summary(_ result: ConversionResult, in time: Duration) -> String {
    let seconds = time / .seconds(1)
    let tenths = Int((seconds * 10).rounded())
    let files = result.files.count == 1 ? "1 file" : "\(result.files.count) files"
    let rate = seconds > 0 ? ", \(amount(Double(result.size) / seconds))/s" : ""
    return "Wrote \(files), \(amount(Double(result.size))), in \(tenths / 10).\(tenths % 10) s\(rate)"
  }

  private static func amount(_ bytes: Double) -> String {
    // More than an exabyte, or a rate over no time: no number that anybody reads, but one that fits.
    let bytes = min(max(bytes, 0), 1e18)
    for (unit, factor) in [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)] where bytes >= factor {
      let tenths = Int((bytes / factor * 10).rounded())
      return "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    return "\(Int(bytes)) B"
  }

  /// Columns of the terminal on standard error; 80 when there is none.
  static var terminalWidth: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
