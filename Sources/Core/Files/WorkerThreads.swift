import Foundation
import Synchronization

/// Runs blocking work on threads of its own, off Swift's cooperative pool.
enum WorkerThreads {
  /// Runs `body` on `count` threads and waits for all of them. The calling thread is one of them.
  ///
  /// The threads are not those of a pool, whose width is the number of processors: reading from elsewhere is waiting.
  /// When this returns, no other thread holds what `body` holds, such as a file that is removed with its last reference.
  static func run(count: Int, _ body: @escaping @Sendable () -> Void) {
    let others = DispatchGroup()
    let work = Work(body)
    for _ in 1..<max(count, 1) {
      others.enter()
      Thread {
        work.perform()
        others.leave()
      }.start()
    }
    body()
    others.wait()
    work.drop()
  }

  /// A thread lets go of its closure some time after the closure has ended, so the closure holds the work through this.
  private final class Work: Sendable {
    private let body: Mutex<(@Sendable () -> Void)?>

    init(_ body: @escaping @Sendable () -> Void) { self.body = Mutex(body) }

    func perform() { body.withLock { $0 }?() }
    func drop() { body.withLock { $0 = nil } }
  }
}
