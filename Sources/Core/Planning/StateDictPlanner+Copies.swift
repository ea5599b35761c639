import OrderedCollections

/// Models that stand in a checkpoint twice.
extension StateDictPlanner {
  /// Writes each tensor that rules copy once more; answers with the new keys and those that they are copies of.
  ///
  /// Throws nothing but `.cancelled`. Complexity: O(keys) for each rule.
  func writeCopies(
    to output: inout OrderedDictionary<String, StateDict.Value>
  ) throws(ConversionError) -> [(key: String, original: String)] {
    var copies: [(key: String, original: String)] = []
    var pacer = Interruption.Pacer()
    for rule in rules {
      guard case .make(.copy(from.other, let original)) = rule.action else { continue }
      for (key, value) in Array(output) {
        try pacer.step()
        guard let binding = original.match(key.keySegments) else { continue }
        for pattern in rule.claims(from.other) {
          let copy = pattern.fill(binding)
          output[copy] = value
          copies.append((copy, key))
        }
      }
    }
    return copies
  }

  /// Warns where a copy in the source, which is left out, has other keys, shapes or dtypes than its original. A source
  /// without any copy is one that needs none.
  ///
  /// Throws nothing but `.cancelled`. Complexity: O(keys) for each rule.
  func compareCopies(
    _ source: OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings
  ) throws(ConversionError) {
    for rule in rules {
      guard case .make(.copy(from, let original)) = rule.action, let copy = rule.claims(from).first else { continue }
      var difference = Difference()
      var copies = 0
      var pacer = Interruption.Pacer()
      for (key, value) in source {
        try pacer.step()
        let segments = key.keySegments
        if let binding = copy.match(segments) {
          copies += 1
          guard let twin = source[original.fill(binding)] else {
            difference.spare.append(key)
            continue
          }
          if value.tensor?.shape != twin.tensor?.shape || value.tensor?.dtype != twin.tensor?.dtype {
            difference.changed.append(key)
          }
        } else if let binding = original.match(segments), source[copy.fill(binding)] == nil {
          difference.missing.append(copy.fill(binding))
        }
      }
      guard copies > 0, let (key, text) = difference.summary else { continue }
      findings.warnings.append(
        Diagnostic(
          .warning, .stateDictMismatch, .tensor(key), "\(copy) is left out, and it is no copy of \(original): \(text)",
          origin: rule.origin))
    }
  }

  /// How a copy differs from its original, by keys of the copy.
  private struct Difference {
    var spare: [String] = []
    var missing: [String] = []
    var changed: [String] = []

    /// The first key at fault, and all of them counted; nil when there is none.
    var summary: (key: String, text: String)? {
      let parts = [
        (spare, "the original lacks"), (missing, "the copy lacks"), (changed, "another shape or dtype has"),
      ].filter { !$0.0.isEmpty }
      guard let first = parts.first?.0.first else { return nil }
      return (
        first,
        parts.map { "\($0.1) \($0.0[0])\($0.0.count > 1 ? " and \($0.0.count - 1) more" : "")" }.joined(separator: "; ")
      )
    }
  }
}
