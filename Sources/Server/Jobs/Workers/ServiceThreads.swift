import Foundation
import ServiceLifecycle

/// Threads that live as long as a service. Off the cooperative pool: what they do blocks.
enum ServiceThreads {
  /// Pickles and configs may be nested deeply; the main thread's size is the one they were tried with.
  private static let stackSize = 8 << 20

  /// Runs each body on a thread of its own until all have ended. `stop` is called on graceful shutdown or cancellation,
  /// and has to make them end.
  static func run(
    _ threads: [(name: String, body: @Sendable () -> Void)], stop: @escaping @Sendable () -> Void
  ) async {
    let (ends, continuation) = AsyncStream.makeStream(of: Void.self)
    for (name, body) in threads {
      let thread = Thread {
        body()
        continuation.yield()
      }
      thread.name = name
      thread.stackSize = stackSize
      thread.start()
    }
    await withTaskCancellationOrGracefulShutdownHandler {
      var rest = threads.count
      // A stream ends its iteration when the task is cancelled; the threads are stopping by then.
      for await _ in ends {
        rest -= 1
        if rest == 0 { break }
      }
    } onCancelOrGracefulShutdown: {
      stop()
    }
  }
}
