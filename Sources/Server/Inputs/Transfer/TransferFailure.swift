package import Core

/// Why one try failed.
package struct TransferFailure: Error {
  package let error: ConversionError
  /// True for faults of the moment: another try may succeed.
  package let mayPass: Bool
  /// The egress policy forbids the address.
  package var isRefused = false
  /// What the server asked for.
  package var retryAfter: Duration?
  /// What is known of the file no longer holds, or its server is too slow to wait for: asking again at once is of no use,
  /// though another attempt of the job may be.
  var endsAttempt = false

  package static let cancelled = TransferFailure(ConversionError(.cancelled, "cancelled"))

  package init(_ message: String, mayPass: Bool = false, retryAfter: Duration? = nil, endsAttempt: Bool = false) {
    self.init(ConversionError(.fetchFailed, message), mayPass: mayPass)
    self.retryAfter = retryAfter
    self.endsAttempt = endsAttempt
  }

  /// The error with what is known of another try, for those who know no transfers.
  package var conversionError: ConversionError {
    var error = error
    if error.kind == .fetchFailed { error.mayPass = mayPass }
    error.retryAfter = retryAfter
    return error
  }

  /// What the error knows of another try wins over `mayPass`.
  package init(_ error: ConversionError, mayPass: Bool = false) {
    self.error = error
    self.mayPass = error.mayPass ?? mayPass
    retryAfter = error.retryAfter
  }

  /// An answer with a status that is no success.
  package init(_ head: TransferHead, from url: SourceURL) {
    let wait = head.retryAfter.map { ", and asks to wait \($0.components.seconds) s" } ?? ""
    self.init(
      "\(url.host) answered \(head.status) for \(url.withoutQuery)" + wait
        + (head.errorMessage.map { ": \($0)" } ?? ""),
      mayPass: head.status == 408 || head.status == 429 || (500...599).contains(head.status) && head.status != 501,
      retryAfter: head.retryAfter)
  }

  /// A file that cannot be written.
  package init(writing error: any Error) {
    if error.isOutOfSpace {
      self.init(ConversionError(.diskFull, "no space is left for the download"))
    } else {
      self.init(ConversionError(.outputFailed, "the download cannot be stored", cause: "\(error)"))
    }
  }
}
