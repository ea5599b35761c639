/// The bounded set of reasons for which a conversion fails. Logs, metrics, exit statuses and the API share it.
package enum ErrorKind: String, Sendable, Hashable, CaseIterable {
  /// The request contradicts itself or names something that does not exist.
  case usage
  /// No model of this name is in the catalogue.
  case unknownModel = "unknown_model"
  /// The model exists, the pair of formats does not.
  case unsupportedPair = "unsupported_pair"
  /// A config value has no counterpart in the target format.
  case configNotConvertible = "config_not_convertible"
  /// Keys of the state dict match no rule.
  case keysUnmatched = "keys_unmatched"
  /// A key that a rule needs is absent, or a tensor has another shape than its rule needs.
  case stateDictMismatch = "state_dict_mismatch"
  /// The file is not what it should be, ends early, or cannot be opened.
  case unreadableInput = "unreadable_input"
  /// The file breaks a rule of its format in a way that only an attack or a fault would.
  case hostileInput = "hostile_input"
  /// The output cannot be written.
  case outputFailed = "output_failed"
  case diskFull = "disk_full"
  /// A download failed.
  case fetchFailed = "fetch_failed"
  /// The repository of an input exists, but its owner has to grant access first.
  case sourceGated = "source_gated"
  /// The repository of an input does not exist, or is private.
  case sourceNotFound = "source_not_found"
  /// The keeper of an input does not take the token that was shown: it expired, was revoked, or never was one.
  case tokenRefused = "token_refused"
  /// The repository of an input has no such branch, tag or commit.
  case revisionNotFound = "revision_not_found"
  /// The repository of an input has no such file.
  case fileNotFound = "file_not_found"
  /// Somebody asked for the work to stop.
  case cancelled
  /// A fault of Zooport's own.
  case `internal`

  /// The exit status of the command line, as the contract in DESIGN.md fixes it.
  package var exitStatus: Int32 {
    switch self {
    case .usage, .unknownModel, .unsupportedPair: 2
    case .configNotConvertible: 3
    case .keysUnmatched, .stateDictMismatch: 4
    case .unreadableInput, .hostileInput, .sourceGated, .sourceNotFound, .tokenRefused, .revisionNotFound,
      .fileNotFound:
      5
    case .outputFailed, .diskFull, .fetchFailed, .cancelled, .internal: 1
    }
  }
}

/// Why a conversion failed: one kind, one message that is safe to show, and everything else that was found.
package struct ConversionError: Error, Sendable, CustomStringConvertible {
  /// The reason, from a bounded set.
  package let kind: ErrorKind
  /// What happened and what to do about it; names the file, key or field. Safe to show to a client.
  package let message: String
  /// All findings, the fatal ones and the others.
  package let diagnostics: [Diagnostic]
  /// Detail for the log only, such as an errno text with a path.
  package let cause: String?
  /// Whether the same may succeed later, as far as whoever met the fault knows; nil leaves it to the kind.
  package var mayPass: Bool?
  /// How long nothing shall be tried again, when a server said so.
  package var retryAfter: Duration?

  /// An error of one kind.
  package init(
    _ kind: ErrorKind, _ message: String, diagnostics: [Diagnostic] = [], cause: String? = nil, mayPass: Bool? = nil
  ) {
    self.kind = kind
    self.message = message
    self.diagnostics = diagnostics
    self.cause = cause
    self.mayPass = mayPass
  }

  /// The same error in other words.
  package func reworded(_ message: String, diagnostics: [Diagnostic]? = nil, cause: String? = nil) -> ConversionError {
    var error = ConversionError(
      kind, message, diagnostics: diagnostics ?? self.diagnostics, cause: cause ?? self.cause, mayPass: mayPass)
    error.retryAfter = retryAfter
    return error
  }

  /// Kind and message, for logs.
  package var description: String { "\(kind.rawValue): \(message)" }
}
