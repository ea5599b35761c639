package import Core

/// What a worker runs. The service has one; tests have slow, failing and endless ones.
package protocol ConversionRunner: Sendable {
  associatedtype Prepared: RunnableConversion

  /// Decides everything and writes nothing, blocking the calling thread. Must check `monitor.isCancelled` several times a
  /// second.
  func prepare(_ request: ConversionRequest, monitor: some ConversionMonitor) throws(ConversionError) -> Prepared
}

/// A conversion that only has to be executed.
package protocol RunnableConversion {
  var costs: PreparedConversion.Costs { get }

  /// Writes the outputs, blocking the calling thread. Must check `monitor.isCancelled` several times a second.
  func execute(_ monitor: some ConversionMonitor) throws(ConversionError) -> ConversionResult
}

extension PreparedConversion: RunnableConversion {}
