import Glibc
import Synchronization

/// The wish of a person or a script that a command end: SIGINT or SIGTERM.
enum TerminalSignal {
  private static let received = Atomic<Int32>(0)

  /// The signal that came; nil while none did.
  static var signal: Int32? {
    let number = received.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Takes the first SIGINT and the first SIGTERM. A second one ends the process at once, as if nobody had asked.
  static func watch() {
    // A handler must not be the first to use it.
    _ = signal
    for number in [SIGINT, SIGTERM] {
      var old = sigaction()
      // `nohup` and shells without job control have them ignored.
      guard sigaction(number, nil, &old) == 0, !isIgnored(old) else { continue }
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { TerminalSignal.received.store($0, ordering: .relaxed) }
      action.sa_flags = Int32(bitPattern: UInt32(SA_RESTART) | UInt32(SA_RESETHAND))
      sigaction(number, &action, nil)
      // Who starts processes from a thread that takes no signals passes that on without meaning it.
      var mask = sigset_t()
      sigemptyset(&mask)
      sigaddset(&mask, number)
      pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    }
  }

  private static func isIgnored(_ action: sigaction) -> Bool {
    unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}
