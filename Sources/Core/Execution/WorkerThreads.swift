import Dispatch

/// Runs blocking work on threads of its own, off Swift's cooperative pool.
enum WorkerThreads {
  /// Runs `body` on `count` threads and waits for all of them. The calling thread is one of them.
  static func run(count: Int, _ body: @Sendable () -> Void) {
    if count <= 1 {
      body()
    } else {
      DispatchQueue.concurrentPerform(iterations: count) { _ in body() }
    }
  }
}
