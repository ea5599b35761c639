import Foundation

/// Runs blocking work on a thread of its own and takes its time there: the cooperative pool, which resumes the test,
/// may be busy for much longer when the whole package is tested at once.
func onThread<Value: Sendable>(
  _ work: @escaping @Sendable () throws -> Value
) async -> (result: Result<Value, any Error>, time: Duration) {
  await withCheckedContinuation { continuation in
    Thread {
      let start = ContinuousClock.now
      let result = Result { try work() }
      continuation.resume(returning: (result, ContinuousClock.now - start))
    }.start()
  }
}
