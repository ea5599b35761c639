import Crypto
import Synchronization

/// SHA-256 of byte ranges of files, several at a time.
///
/// Memory: one buffer for each thread, all of them within the budget.
struct FileDigests {
  let budget: Executor.Budget
  let monitor: any ConversionMonitor

  /// Lower-case hexadecimal digests, in the order of the ranges. Reports them as a phase.
  ///
  /// Throws `.unreadableInput` when a file cannot be read, or `.cancelled`. Complexity: O(bytes).
  func compute(_ ranges: [FileExtent]) throws(ConversionError) -> [String] {
    let progress = PhaseProgress(.digesting, total: ranges.lazy.map(\.length).saturatingSum(), monitor: monitor)
    let digests = Mutex([String](repeating: "", count: ranges.count))
    let next = Atomic<Int>(0)
    let failure = Mutex<ConversionError?>(nil)
    WorkerThreads.run(count: min(budget.threads, max(ranges.count, 1))) {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(budget.tileBytes, 1 << 20), alignment: 64)
      defer { buffer.deallocate() }
      while failure.withLock({ $0 == nil }) {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < ranges.count else { return }
        do throws(ConversionError) {
          let digest = try digest(ranges[index], buffer, progress)
          digests.withLock { $0[index] = digest }
        } catch {
          failure.withLock { if $0 == nil { $0 = error } }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return digests.withLock { $0 }
  }

  private func digest(
    _ range: FileExtent, _ buffer: UnsafeMutableRawBufferPointer, _ progress: PhaseProgress
  ) throws(ConversionError) -> String {
    var hash = SHA256()
    var done = 0
    while done < range.length {
      if monitor.isCancelled { throw ConversionError.cancelled }
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, range.length - done)])
      try range.file.read(at: range.offset + done, into: piece)
      hash.update(bufferPointer: UnsafeRawBufferPointer(piece))
      done += piece.count
      progress.advance(piece.count)
    }
    return hash.finalize().hexadecimal
  }
}

extension FileExtent {
  /// A whole file.
  init(_ file: InputFile) { self.init(file: file, offset: 0, length: file.size) }
}
