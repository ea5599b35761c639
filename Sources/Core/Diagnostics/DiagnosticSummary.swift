/// Findings as people read them: what stops the conversion first, then what changes the model, then what describes nothing.
///
/// Every key stays named. Keys of tensors that differ in numbers only share a line, and config keys that nothing needs share
/// one. Programs read the findings themselves.
package struct DiagnosticSummary: Sendable {
  package struct Line: Sendable, Hashable {
    /// How much it weighs.
    package let severity: Diagnostic.Severity
    /// A sentence for the user.
    package let text: String
  }

  /// The lines, the most important first.
  package let lines: [Line]

  /// A summary of findings. `namesRules` adds the rule behind each finding. Complexity: O(findings log findings).
  package init(_ findings: [Diagnostic], namesRules: Bool = false) {
    var causes: [Line] = []
    var changes: [Line] = []
    var unmatched: [Diagnostic.Severity: [String]] = [:]
    var described: [String] = []
    for finding in findings {
      let text = namesRules ? finding.description : finding.message
      switch finding.subject {
      case .tensor(let key) where finding.isUnmatchedKey: unmatched[finding.severity, default: []].append(key)
      case .config(let key) where finding.isUnmatchedKey: described.append(key)
      default:
        let line = Line(severity: finding.severity, text: text)
        if finding.severity == .error { causes.append(line) } else { changes.append(line) }
      }
    }
    func tensors(_ severity: Diagnostic.Severity) -> [Line] {
      KeyRuns.groups(unmatched[severity] ?? []).map { text, count in
        Line(severity: severity, text: "Key not matched: \(text)" + (count > 1 ? " (\(count) tensors)" : ""))
      }
    }
    var rest: [Line] = []
    if !described.isEmpty {
      rest.append(
        Line(
          severity: .warning,
          text: "Key not matched: \(described.joined(separator: ", ")) (of the config; the target has no such setting)")
      )
    }
    lines = causes + tensors(.error) + changes + tensors(.warning) + rest
  }
}

extension Diagnostic {
  /// True for a key that no rule knows.
  package var isUnmatchedKey: Bool { message == "Key not matched: \(subject.description)" }
}
