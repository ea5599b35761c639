/// Where a rule was written. Every diagnostic about a rule carries it.
package struct Origin: Sendable, Hashable, CustomStringConvertible {
  /// `Core/GPT2.swift`, as `#fileID` gives it.
  package let file: String
  /// Line in the file, from 1.
  package let line: Int

  /// A place in the sources; pass `#fileID` and `#line` through from the caller.
  package init(_ file: String, _ line: Int) {
    self.file = file
    self.line = line
  }

  /// The text for people.
  package var description: String { "\(file):\(line)" }
}

/// One finding about a conversion, as a value: planning collects them all before anything is thrown.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
  /// How much a finding weighs.
  package enum Severity: String, Sendable, Hashable {
    /// The conversion goes on.
    case warning
    /// The conversion cannot go on.
    case error
  }

  /// What a finding is about.
  package enum Subject: Sendable, Hashable, CustomStringConvertible {
    /// A key of the state dict.
    case tensor(String)
    /// A key of the config.
    case config(String)
    case file(String)
    /// The conversion as a whole.
    case conversion

    /// The text for people.
    package var description: String {
      switch self {
      case .tensor(let key), .config(let key), .file(let key): key
      case .conversion: ""
      }
    }
  }

  /// How much it weighs.
  package let severity: Severity
  /// The kind of error that this finding leads to; for a warning, the kind it would have led to.
  package let kind: ErrorKind
  /// The tensor, config key or file.
  package let subject: Subject
  /// A sentence for the user.
  package let message: String
  /// The rule that found it, when a rule did.
  package let origin: Origin?

  package init(
    _ severity: Severity, _ kind: ErrorKind, _ subject: Subject, _ message: String, origin: Origin? = nil
  ) {
    self.severity = severity
    self.kind = kind
    self.subject = subject
    self.message = message
    self.origin = origin
  }

  /// The text for people.
  package var description: String {
    origin.map { "\(message) (rule at \($0))" } ?? message
  }

  /// The same finding as a warning.
  func demoted() -> Diagnostic { Diagnostic(.warning, kind, subject, message, origin: origin) }
}
