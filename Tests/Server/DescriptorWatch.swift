import Foundation
import Synchronization

/// Finds out whether some work closes descriptors that are not its own, as a second `close` of the same number does.
enum DescriptorWatch {
  /// How many of 20,000 descriptors of another thread were gone while `work` ran again and again.
  static func lost(while work: @escaping @Sendable () -> Void) async -> Int {
    let isOver = Atomic(false)
    async let busy = onThread { while !isOver.load(ordering: .relaxed) { work() } }
    let watched = await onThread {
      var lost = 0
      for _ in 0..<20_000 {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        sched_yield()
        if close(descriptor) != 0 { lost += 1 }
      }
      return lost
    }
    isOver.store(true, ordering: .relaxed)
    _ = await busy
    return (try? watched.result.get()) ?? -1
  }
}
