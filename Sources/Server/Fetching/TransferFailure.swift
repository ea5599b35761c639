import Core

/// Why one try failed.
struct TransferFailure: Error {
  let error: ConversionError
  /// True for faults of the moment: another try may succeed.
  let mayPass: Bool
  /// The egress policy forbids the address.
  var isRefused = false
  /// What the server asked for; at most a minute.
  var retryAfter: Duration?

  static let cancelled = TransferFailure(ConversionError(.cancelled, "cancelled"))

  init(_ message: String, mayPass: Bool = false, retryAfter: Duration? = nil) {
    self.init(ConversionError(.fetchFailed, message), mayPass: mayPass)
    self.retryAfter = retryAfter.map { min($0, .seconds(60)) }
  }

  init(_ error: ConversionError, mayPass: Bool = false) {
    self.error = error
    self.mayPass = mayPass
  }

  /// An answer with a status that is no success.
  init(_ head: TransferHead, from url: SourceURL) {
    self.init(
      "\(url.host) answered \(head.status) for \(url.withoutQuery)" + (head.errorMessage.map { ": \($0)" } ?? ""),
      mayPass: head.status == 408 || head.status == 429 || (500...599).contains(head.status) && head.status != 501,
      retryAfter: head.retryAfter)
  }

  /// A file that cannot be written.
  init(writing error: any Error) {
    if error.isOutOfSpace {
      self.init(ConversionError(.diskFull, "no space is left for the download"))
    } else {
      self.init(ConversionError(.outputFailed, "the download cannot be stored", cause: "\(error)"))
    }
  }
}
