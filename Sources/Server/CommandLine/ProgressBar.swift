import Core
import Glibc
import Synchronization

/// One line on standard error: a bar, bytes, rate and time left. Redrawn at most ten times a second.
final class ProgressBar: Sendable {
  private struct State {
    var drawnAt: ContinuousClock.Instant?
    var startedAt: ContinuousClock.Instant?
  }

  private let state = Mutex(State())

  /// Shows how far a conversion is.
  func show(_ progress: ConversionProgress) {
    let now = ContinuousClock.now
    let elapsed: Duration? = state.withLock { state in
      if progress.phase == .converting, state.startedAt == nil { state.startedAt = now }
      let complete = progress.bytesDone == progress.bytesTotal
      if let drawn = state.drawnAt, now - drawn < .milliseconds(100), !complete { return nil }
      state.drawnAt = now
      return now - (state.startedAt ?? now)
    }
    guard let elapsed else { return }
    StandardError.write("\r\u{1B}[2K" + Self.line(progress, elapsed: elapsed, width: Self.terminalWidth))
  }

  /// Shows how far a file is on its way. Each file begins anew.
  func show(transfer what: String, done: Int, total: Int) {
    let now = ContinuousClock.now
    let elapsed: Duration? = state.withLock { state in
      if state.startedAt == nil { state.startedAt = now }
      if let drawn = state.drawnAt, now - drawn < .milliseconds(100), done < total { return nil }
      state.drawnAt = now
      defer { if done >= total { state.startedAt = nil } }
      return now - (state.startedAt ?? now)
    }
    guard let elapsed, total > 0 else { return }
    let text = Self.text(what, done: done, total: total, elapsed: elapsed, suffix: "")
    StandardError.write("\r\u{1B}[2K" + Self.bar(done: done, total: total, text: text, width: Self.terminalWidth))
  }

  /// Removes the line.
  func clear() {
    if state.withLock({ $0.drawnAt != nil }) { StandardError.write("\r\u{1B}[2K") }
  }

  /// The line for a moment.
  static func line(_ progress: ConversionProgress, elapsed: Duration, width: Int) -> String {
    if progress.phase == .fetching, progress.bytesTotal > 0 {
      let (done, total) = (amount(Double(progress.bytesDone)), amount(Double(progress.bytesTotal)))
      return "fetching \(done)/\(total) ..."
    }
    guard progress.phase == .converting, progress.bytesTotal > 0 else { return "\(progress.phase.rawValue) ..." }
    let text = text(
      "", done: progress.bytesDone, total: progress.bytesTotal, elapsed: elapsed,
      suffix: ", \(progress.tensorsDone)/\(progress.tensorsTotal) tensors")
    return bar(done: progress.bytesDone, total: progress.bytesTotal, text: text, width: width)
  }

  private static func text(_ what: String, done: Int, total: Int, elapsed: Duration, suffix: String) -> String {
    // A service may say anything.
    let done = min(max(done, 0), total)
    let seconds = elapsed / .seconds(1)
    let rate = seconds > 0 ? Double(done) / seconds : 0
    var text = what.isEmpty ? "" : " \(what)"
    text += " \(percent(done, of: total) ?? 0)% \(amount(Double(done)))/\(amount(Double(total)))"
    if rate > 0 {
      text += " \(amount(rate))/s"
      let left = Int(min(Double(total - done) / rate, 359_999).rounded(.up))
      text += " \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
    }
    return text + suffix
  }

  /// Whole percents from 0 to 100, whatever the numbers are; nil where there is nothing to be done. Numbers of a service may
  /// be anything.
  static func percent(_ done: Int, of total: Int) -> Int? {
    total > 0 ? Int(min(max(Double(done) / Double(total), 0), 1) * 100) : nil
  }

  private static func bar(done: Int, total: Int, text: String, width: Int) -> String {
    let cells = min(30, width - text.count - 3)
    guard cells >= 5 else { return String(text.dropFirst().prefix(width - 1)) }
    let filled = Int(min(max(Double(done) / Double(total), 0), 1) * Double(cells))
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: cells - filled) + "]" + text
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
