package import Core

/// The stable, machine-readable reason of every fault. Bounded, so that clients may switch over it.
///
/// The raw values are part of the contract and never reworded. Those that a conversion can fail with are those of
/// `ErrorKind`.
package enum FaultCode: String, Codable, Sendable, CaseIterable {
  /// The request is malformed HTTP, JSON or multipart.
  case malformedRequest = "malformed_request"
  /// The request is well formed, but a field is missing, unknown or has a wrong value.
  case invalidRequest = "invalid_request"
  /// The request has no valid access token.
  case unauthorized
  /// The access token lacks a scope, or the resource belongs to somebody else.
  case forbidden
  /// No such path, job, upload, model or output.
  case notFound = "not_found"
  /// The path exists, the method does not.
  case methodNotAllowed = "method_not_allowed"
  /// The state of the resource does not allow the request.
  case conflict
  /// Another request is busy with the resource; the same request can be sent again soon.
  case locked
  /// The resource is gone for good.
  case gone
  /// The client speaks another version of the upload protocol.
  case unsupportedProtocol = "unsupported_protocol"
  /// The file is not the one that the client has seen.
  case preconditionFailed = "precondition_failed"
  /// The bytes do not hash to what the client announced.
  case checksumMismatch = "checksum_mismatch"
  /// The body is larger than the service takes.
  case tooLarge = "too_large"
  /// A limit of the operator is reached; `Fault.limit` names it.
  case limitReached = "limit_reached"
  /// The body is of a media type that the resource does not read.
  case unsupportedMediaType = "unsupported_media_type"
  /// The range lies outside the file.
  case rangeNotSatisfiable = "range_not_satisfiable"
  /// The service cannot do this at the moment; `Fault.retryAfter` says when to try again.
  case unavailable

  case usage
  case unknownModel = "unknown_model"
  case unsupportedPair = "unsupported_pair"
  case configNotConvertible = "config_not_convertible"
  case keysUnmatched = "keys_unmatched"
  case stateDictMismatch = "state_dict_mismatch"
  case unreadableInput = "unreadable_input"
  case hostileInput = "hostile_input"
  case outputFailed = "output_failed"
  case diskFull = "disk_full"
  case fetchFailed = "fetch_failed"
  case sourceGated = "source_gated"
  case sourceNotFound = "source_not_found"
  case tokenRefused = "token_refused"
  case revisionNotFound = "revision_not_found"
  case fileNotFound = "file_not_found"
  case cancelled
  /// A fault of the service.
  case `internal`

  /// A reason for which a conversion fails.
  package init(_ kind: ErrorKind) {
    self =
      switch kind {
      case .usage: .usage
      case .unknownModel: .unknownModel
      case .unsupportedPair: .unsupportedPair
      case .configNotConvertible: .configNotConvertible
      case .keysUnmatched: .keysUnmatched
      case .stateDictMismatch: .stateDictMismatch
      case .unreadableInput: .unreadableInput
      case .hostileInput: .hostileInput
      case .outputFailed: .outputFailed
      case .diskFull: .diskFull
      case .fetchFailed: .fetchFailed
      case .sourceGated: .sourceGated
      case .sourceNotFound: .sourceNotFound
      case .tokenRefused: .tokenRefused
      case .revisionNotFound: .revisionNotFound
      case .fileNotFound: .fileNotFound
      case .cancelled: .cancelled
      case .internal: .internal
      }
  }
}
