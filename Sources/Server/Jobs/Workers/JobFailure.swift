package import API
import Core
import Inputs

/// Why an attempt failed, and what follows. Whatever is thrown while a job runs becomes one of these, here and nowhere else.
package struct JobFailure: Error {
  /// What another attempt is worth.
  enum Remedy: Sendable, Hashable {
    /// Nothing: faults of the input and limits do not pass.
    case none
    /// Something, after a pause: the fault is of the moment, a full disk or a network that is down.
    case retry
    /// Something, as soon as other jobs have ended and given back what they hold.
    case wait
  }

  /// What the job shows, and the cause for the log.
  package let fault: Fault
  var remedy: Remedy
  /// How long the next attempt has to wait, when a server said so.
  private(set) var retryAfter: Duration?

  /// A job whose source asks for a longer pause is given up.
  private static let longestWait: Duration = .seconds(86_400)

  /// True when another attempt may succeed.
  var mayPass: Bool { remedy != .none }

  private init(_ fault: Fault, mayPass: Bool) {
    self.fault = fault
    remedy = mayPass ? .retry : .none
  }

  /// Whatever was thrown.
  init(of error: any Error) {
    switch error {
    case let failure as JobFailure: self = failure
    case let failure as TransferFailure: self.init(failure)
    case let error as ConversionError: self.init(error)
    // Limits do not pass. A store that takes no writes will: the attempt may have been perfect, and what could not be done is
    // to say so.
    case let fault as Fault: self.init(fault, mayPass: fault.code == .diskFull || fault.code == .unavailable)
    case let error where error.isOutOfSpace:
      self.init(ConversionError(.diskFull, "no space is left for the job", cause: "\(error)"))
    default:
      self.init(
        ConversionError(
          .internal, "the service failed; the log has the reason under the job id", cause: String(reflecting: error)))
    }
  }

  init(_ error: ConversionError) {
    let isBearable = error.retryAfter ?? .zero <= Self.longestWait
    // A conversion fetches only when it streams; whoever fetched for it may know that the fault stays.
    let mayPass = error.mayPass ?? (error.kind == .diskFull || error.kind == .fetchFailed)
    self.init(Fault(error), mayPass: isBearable && mayPass)
    retryAfter = error.retryAfter
  }

  init(_ failure: TransferFailure) {
    var error = failure.conversionError
    error.mayPass = failure.mayPass || error.kind == .diskFull
    self.init(error)
  }
}
