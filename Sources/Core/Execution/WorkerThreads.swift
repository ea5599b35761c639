import Foundation

/// Runs blocking work on threads of its own, off Swift's cooperative pool.
enum WorkerThreads {
  /// Runs `body` on `count` threads and waits for all of them. The calling thread is one of them.
  ///
  /// The threads are not those of a pool, whose width is the number of processors: reading from elsewhere is waiting.
  static func run(count: Int, _ body: @escaping @Sendable () -> Void) {
    let others = DispatchGroup()
    for _ in 1..<max(count, 1) {
      others.enter()
      Thread {
        body()
        others.leave()
      }.start()
    }
    body()
    others.wait()
  }
}
