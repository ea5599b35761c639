import Core

/// The runner of the service: the same code path as the command line.
struct CoreRunner: ConversionRunner {
  func prepare(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> PreparedConversion {
    try Conversion.prepare(request, monitor: monitor)
  }
}
