import Core

/// The runner of the service: the same code path as the command line.
struct CoreRunner: ConversionRunner {
  /// What `GET /v1/models` shows and submissions are checked against.
  static var listings: [ModelListing] { [] }

  func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    throw ConversionError(.unknownModel, "no model is called \(request.model)")
  }
}
