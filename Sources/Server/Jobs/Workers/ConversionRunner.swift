package import Core

/// What a worker runs. The service has one; tests have slow, failing and endless ones.
package protocol ConversionRunner: Sendable {
  /// Converts, blocking the calling thread. Must check `monitor.isCancelled` several times a second.
  func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult
}
