import Testing

@testable import Core

/// Findings as people read them.
@Suite struct DiagnosticSummaryTests {
  @Test(arguments: [
    ((0..<24).map { "h.\($0).lora_A.weight" }, ["h.{0..23}.lora_A.weight"]),
    (["h.0.a", "h.2.a", "h.3.a", "h.7.a"], ["h.{0,2..3,7}.a"]),
    (["h.0.a", "h.0.b", "h.1.a", "x"], ["h.{0..1}.a", "h.0.b", "x"]),
    (["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1"], ["a.{0..1}.b.{0..1}"]),
    (["a.0.b.0", "a.1.b.1"], ["a.0.b.0", "a.1.b.1"]),
    (["wi_0.weight", "wi_1.weight"], ["wi_{0..1}.weight"]), (["7", "8"], ["{7..8}"]), ([], []),
    (["", "a"], ["", "a"]),
    (["h.99999999999999999999.a", "h.1.a"], ["h.99999999999999999999.a", "h.1.a"]),
    (["h.01.a", "h.1.a"], ["h.01.a", "h.1.a"]),
  ])
  func keysOfOnePatternAreOne(_ keys: [String], _ expected: [String]) {
    #expect(KeyRuns.collapsed(keys) == expected)
    #expect(KeyRuns.groups(keys).reduce(0) { $0 + $1.count } == keys.count)
  }

  private func unmatched(_ key: String, _ severity: Diagnostic.Severity = .warning) -> Diagnostic {
    Diagnostic(severity, .keysUnmatched, .tensor(key), "Key not matched: \(key)")
  }

  private func setting(_ key: String) -> Diagnostic {
    Diagnostic(.warning, .configNotConvertible, .config(key), "Key not matched: \(key)")
  }

  @Test func theCauseFirstThenChangesThenTheRest() {
    let findings = [
      setting("use_cache"), unmatched("h.0.x"),
      Diagnostic(.warning, .stateDictMismatch, .tensor("head"), "head is drawn"),
      setting("bos_token_id"), Diagnostic(.error, .stateDictMismatch, .tensor("w"), "w has the wrong shape"),
      unmatched("h.1.x"), unmatched("y", .error),
    ]
    let lines = DiagnosticSummary(findings).lines
    #expect(
      lines.map(\.text) == [
        "w has the wrong shape", "Key not matched: y", "head is drawn", "Key not matched: h.{0..1}.x (2 tensors)",
        "Key not matched: use_cache, bos_token_id (of the config; the target has no such setting)",
      ])
    #expect(lines.map(\.severity) == [.error, .error, .warning, .warning, .warning])
  }

  @Test func oneKeyIsNamedAsItStands() {
    #expect(DiagnosticSummary([unmatched("a.b")]).lines.map(\.text) == ["Key not matched: a.b"])
    #expect(DiagnosticSummary([]).lines.isEmpty)
  }

  @Test func rulesAreNamedOnRequest() {
    let finding = Diagnostic(.warning, .stateDictMismatch, .tensor("a"), "a is drawn", origin: Origin("F.swift", 3))
    #expect(DiagnosticSummary([finding], namesRules: true).lines.map(\.text) == ["a is drawn (rule at F.swift:3)"])
  }

  /// Half a million keys are grouped in seconds.
  @Test func manyKeys() {
    let keys = (0..<1_000).flatMap { layer in (0..<100).map { "model.layers.\(layer).mlp.experts.\($0).w1.weight" } }
    #expect(KeyRuns.collapsed(keys) == ["model.layers.{0..999}.mlp.experts.{0..99}.w1.weight"])
  }
}
