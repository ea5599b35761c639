package import Core

/// The runner of the service: the same code path as the command line.
package struct CoreRunner: ConversionRunner {

  package init() {
  }
  package func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    try Conversion.run(request, monitor: monitor)
  }
}
