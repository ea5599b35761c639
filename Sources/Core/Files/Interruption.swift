import Glibc

/// How somebody who watches a conversion ends the work of a thread: every long loop asks now and then.
///
/// Bound to the thread for the time of a call, so that parsers, the planner and the writers of headers stay functions of
/// their inputs alone. Threads that a call starts do not inherit it. A request to stop must stay: what was once told to end
/// is told so again.
enum Interruption {
  /// The question that the work of a thread asks.
  private final class Request {
    let isMade: () -> Bool

    init(isMade: @escaping () -> Bool) { self.isMade = isMade }
  }

  /// Where a thread keeps its request, unretained: `heeding` holds it as long as it is there.
  ///
  /// No task-local value: swift 6.3.1 with optimisation hands the runtime no type for a closure in one, which crashes.
  private static let slot: pthread_key_t = {
    var key = pthread_key_t()
    precondition(pthread_key_create(&key, nil) == 0, "no thread-specific data left")
    return key
  }()

  /// Runs `body`, which ends with `.cancelled` soon after `isRequested` becomes true.
  ///
  /// `isRequested` is called some hundred times a second.
  static func heeding<Value>(
    _ isRequested: @escaping () -> Bool, _ body: () throws(ConversionError) -> Value
  ) throws(ConversionError) -> Value {
    let request = Request(isMade: isRequested)
    let outer = pthread_getspecific(slot)
    pthread_setspecific(slot, Unmanaged.passUnretained(request).toOpaque())
    defer {
      pthread_setspecific(slot, outer)
      withExtendedLifetime(request) {}
    }
    return try body()
  }

  /// Throws `.cancelled` when the work of this thread is to end.
  static func check() throws(ConversionError) {
    guard let request = pthread_getspecific(slot) else { return }
    if Unmanaged<Request>.fromOpaque(request).takeUnretainedValue().isMade() { throw .cancelled }
  }

  /// Asks for a loop, once in so many steps that asking costs nothing.
  struct Pacer {
    private var steps = 0

    /// Counts a step of some microseconds. Throws `.cancelled` when the work of this thread is to end.
    @inline(__always) mutating func step() throws(ConversionError) {
      steps &+= 1
      if steps & 0x3FF == 0 { try check() }
    }
  }
}

extension ConversionError {
  /// What work that was interrupted ends with.
  static let cancelled = ConversionError(.cancelled, "The conversion was cancelled.")
}
