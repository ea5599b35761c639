import OrderedCollections

/// Applies document rules. Pure: values in, values out.
enum DocumentRules {
  /// The document on the other side of the rules, and what the user should know.
  ///
  /// `side` is the side that `document` is of: `.older` applies the rules in their order, `.newer` in the reverse order.
  /// Applying the same rules a second time changes nothing. Throws `.configNotConvertible` with one diagnostic for each
  /// rule that fails. Complexity: O(rules x depth), and O(nodes) for rules that rewrite.
  static func apply(
    _ rules: [DocumentRule], to document: ConfigObject, from side: Side, context: DocumentContext
  ) throws(ConversionError) -> (document: ConfigObject, warnings: [Diagnostic]) {
    var document = document
    var warnings: [Diagnostic] = []
    var failures: [Diagnostic] = []
    for rule in side == .older ? rules : rules.reversed() where rule.applies(to: document, context) {
      var notices: [DocumentNotice] = []
      do throws(ConfigFailure) {
        try rule.apply(to: &document, from: side, context, &notices)
      } catch {
        failures.append(
          Diagnostic(.error, .configNotConvertible, .config(error.key), error.message, origin: rule.origin))
      }
      warnings += notices.map {
        Diagnostic(.warning, .configNotConvertible, .config($0.key), $0.message, origin: rule.origin)
      }
    }
    guard failures.isEmpty else {
      let message = failures.map(\.message).joined(separator: "\n")
      throw ConversionError(
        .configNotConvertible, "ConfigConversionError: \(message)", diagnostics: warnings + failures)
    }
    return (document, warnings)
  }
}

extension DocumentRule {
  fileprivate func applies(to document: ConfigObject, _ context: DocumentContext) -> Bool {
    if let section, document[section] == nil { return false }
    guard let since else { return true }
    guard case .cs(let start) = context.start else { return true }
    return start >= since
  }

  fileprivate func apply(
    to document: inout ConfigObject, from side: Side, _ context: DocumentContext, _ notices: inout [DocumentNotice]
  ) throws(ConfigFailure) {
    switch action {
    case .move(let older, let newer, let forward, let backward, let replaces):
      let (source, target) = side == .older ? (older, newer) : (newer, older)
      guard let mapping = side == .older ? forward : backward, let value = document.take(source),
        let mapped = try mapping(value), replaces || document[at: target] == nil
      else { return }
      document[at: target] = mapped
    case .drop(side, let path, let message):
      guard document.take(path) != nil, let message else { return }
      notices.append(DocumentNotice(path.description, message))
    case .caution(side, let path, let sentence):
      guard let value = document[at: path], let message = sentence(value) else { return }
      notices.append(DocumentNotice(path.description, message))
    case .rewrite(_, let forward, let backward):
      try (side == .older ? forward : backward)?(&document, context, &notices)
    case .drop, .caution: break
    }
  }
}
