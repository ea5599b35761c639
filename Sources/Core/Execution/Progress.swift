import Synchronization

/// Counts the bytes of a phase and tells the monitor. Safe from several threads.
final class PhaseProgress: Sendable {
  let monitor: any ConversionMonitor
  private let progress: Mutex<ConversionProgress>

  /// Reports the beginning of a phase of `total` bytes.
  init(_ phase: ConversionProgress.Phase, total: Int, monitor: any ConversionMonitor) {
    self.monitor = monitor
    var progress = ConversionProgress(phase: phase)
    progress.bytesTotal = total
    self.progress = Mutex(progress)
    monitor.report(progress)
  }

  /// Notes that more bytes are done.
  func advance(_ bytes: Int) {
    let now = progress.withLock { progress in
      progress.bytesDone += bytes
      return progress
    }
    monitor.report(now)
  }
}

/// Counts completed pieces of a conversion and tells the monitor. Safe from several threads.
final class Progress: Sendable {
  private struct State {
    var progress: ConversionProgress
    var piecesLeft: [Int]
  }

  private let state: Mutex<State>
  private let tensorCounts: [Int]
  private let monitor: any ConversionMonitor

  /// `pieces` holds the job of each piece of work.
  init(jobs: [Executor.Job], pieces: [Int], bytesTotal: Int, monitor: any ConversionMonitor) {
    tensorCounts = jobs.map(\.tensorCount)
    self.monitor = monitor
    var left = [Int](repeating: 0, count: jobs.count)
    for job in pieces { left[job] += 1 }
    var progress = ConversionProgress(phase: .converting)
    progress.bytesTotal = bytesTotal
    progress.tensorsTotal = tensorCounts.reduce(0, +)
    // Empty tensors have no piece to wait for.
    progress.tensorsDone = zip(left, tensorCounts).reduce(0) { $0 + ($1.0 == 0 ? $1.1 : 0) }
    state = Mutex(State(progress: progress, piecesLeft: left))
    monitor.report(progress)
  }

  /// Notes that a piece of a job is written.
  func completed(_ job: Int, bytes: Int) {
    let progress = state.withLock { state in
      state.progress.bytesDone += bytes
      state.piecesLeft[job] -= 1
      if state.piecesLeft[job] == 0 { state.progress.tensorsDone += tensorCounts[job] }
      return state.progress
    }
    monitor.report(progress)
  }
}
