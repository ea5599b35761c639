package import Core

/// The runner of the service: the same code path as the command line.
package struct CoreRunner: ConversionRunner {
  package init() {}

  package func prepare(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> PreparedConversion {
    try Conversion.prepare(request, monitor: monitor)
  }
}
