/// How somebody who watches a conversion ends the work of a thread: every long loop asks now and then.
///
/// Bound to the thread for the time of a call, as the cancellation of a task is, so that parsers, the planner and the
/// writers of headers stay functions of their inputs alone. Threads that a call starts do not inherit it. A request to
/// stop must stay: what was once told to end is told so again.
enum Interruption {
  @TaskLocal private static var isRequested: (@Sendable () -> Bool)?

  /// Runs `body`, which ends with `.cancelled` soon after `isRequested` becomes true.
  ///
  /// `isRequested` is called some hundred times a second.
  static func heeding<Value>(
    _ isRequested: @escaping @Sendable () -> Bool, _ body: () throws(ConversionError) -> Value
  ) throws(ConversionError) -> Value {
    let result = $isRequested.withValue(isRequested) { Result { () throws(ConversionError) in try body() } }
    return try result.get()
  }

  /// Throws `.cancelled` when the work of this thread is to end.
  static func check() throws(ConversionError) {
    if isRequested?() ?? false { throw .cancelled }
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
