import OrderedCollections
import Testing

@testable import Core

/// What single rules do to a state dict.
@Suite struct StateDictPlannerTests {
  func convert(
    _ values: OrderedDictionary<String, StateDict.Value>, from side: Side = .left, left: ConfigObject = [:],
    right: ConfigObject = [:], @RulesBuilder _ rules: () -> [Rule]
  ) throws -> (values: OrderedDictionary<String, StateDict.Value>, findings: StateDictPlanner.Findings) {
    let rules = rules()
    let crossing = Bridge(
      covers: Release(1, 7)...Release(1, 7), hfClass: "", modelTypes: [""], tensors: { _ in rules }, config: { _ in [] }
    ).crossing(at: Release(1, 7), zooName: "")
    let step = ConfigPlanner.Step(hop: .bridge(crossing, from: side), context: RuleContext(left: left, right: right))
    var findings = StateDictPlanner.Findings()
    return (try StateDictPlanner(step: step).convert(StateDict(values), findings: &findings).values, findings)
  }

  func tensor(_ key: String, _ shape: [Int] = [2]) -> StateDict.Value {
    .tensor(SymbolicTensor(source: key, dtype: .bfloat16, shape: shape))
  }

  @Test func refusedKeysMayHoldNone() throws {
    let absent = try convert(["a.norm": .other(.none)]) { Refuse(.left, "a.norm", "no norm there") }
    #expect(absent.values.isEmpty)
    #expect(absent.findings.failures.isEmpty)
    let present = try convert(["a.norm": tensor("a.norm")]) { Refuse(.left, "a.norm", "no norm there") }
    #expect(present.values.isEmpty)
    #expect(present.findings.failures.map(\.kind) == [.configNotConvertible])
    #expect(present.findings.failures.map(\.message) == ["a.norm: no norm there"])
  }

  @Test func refusedKeysOfTheOtherSideAreUnknown() throws {
    let result = try convert(["a.norm": tensor("a.norm")]) { Refuse(.right, "a.norm", "no norm there") }
    #expect(result.findings.unmatched == ["a.norm"])
  }

  @Test func drawnHeadsWithoutDeviationAreZeros() throws {
    let result = try convert([:], right: ["size": 3]) {
      Drawn(.right, "bias", shape: [.cs("size")], .zeros)
      Drawn(.right, "weight", shape: [.fixed(2), .cs("size")])
    }
    #expect(result.values["bias"]?.tensor?.expression == .generate(.zeros(shape: [3])))
    #expect(result.values["bias"]?.tensor?.dtype == .float32)
    #expect(result.values["weight"]?.tensor?.shape == [2, 3])
    #expect(result.findings.warnings.count == 2)
  }

  @Test func drawnHeadsNeedTheirLengths() throws {
    let result = try convert([:]) { Drawn(.right, "bias", shape: [.cs("size")], .zeros) }
    #expect(result.values.isEmpty)
    #expect(result.findings.failures.count == 1)
    #expect(result.findings.failures.first?.message.contains("'size'") == true)
  }

  @Test func heldHeadsAreNotDrawn() throws {
    let result = try convert(["head": tensor("head")], right: ["size": 3]) {
      Rename("head", "weight")
      Drawn(.right, "weight", shape: [.cs("size")])
    }
    #expect(result.values["weight"] == tensor("head"))
    #expect(result.findings.warnings.isEmpty)
  }

  /// A fallback does not claim its key: the rule that it stands in for reads and writes it.
  @Test func fallbacksAreDrawnWhereNothingElseIsThere() throws {
    let rules: () -> [Rule] = {
      Rename("head", "weight").rules + Drawn(.right, "weight", shape: [.cs("size")], .zeros, isFallback: true).rules
    }
    let missing = try convert([:], right: ["size": 3]) { rules() }
    #expect(missing.values["weight"]?.tensor?.expression == .generate(.zeros(shape: [3])))
    #expect(missing.findings.warnings.count == 1)
    let held = try convert(["head": tensor("head")], right: ["size": 3]) { rules() }
    #expect(held.values["weight"] == tensor("head"))
    #expect(held.findings.warnings.isEmpty)
    let back = try convert(["weight": tensor("weight")], from: .right) { rules() }
    #expect(back.values["head"] == tensor("weight"))
  }

  @Test func buffersAreMadeBesideEachAnchor() throws {
    let result = try convert(["x.0.w": tensor("x.0.w"), "x.7.w": tensor("x.7.w")], from: .right) {
      Rename("h.{layer}.w", "x.{layer}.w")
      Generated(.left, "h.{layer}.mask", beside: "h.{layer}.w") { (_) throws(RuleFailure) in .causalMask(size: 4) }
      Generated(.left, "h.{layer}.scale", beside: "h.{layer}.w") { (_) throws(RuleFailure) in .scalar(1) }
    }
    #expect(
      Set(result.values.keys) == ["h.0.w", "h.7.w", "h.0.mask", "h.7.mask", "h.0.scale", "h.7.scale"])
    #expect(result.values["h.7.mask"]?.tensor?.shape == [1, 1, 4, 4])
    #expect(result.values["h.7.mask"]?.tensor?.dtype == .uint8)
  }

  @Test func mirrorsAreWrittenAndReadOnce() throws {
    let rules = { Rename("a.{leaf}", mirrored: ["b.{leaf}", "c.{leaf}"]) }
    let written = try convert(["a.bias": tensor("a.bias")]) { rules() }
    #expect(written.values == ["b.bias": tensor("a.bias"), "c.bias": tensor("a.bias")])
    let first = try convert(["c.bias": tensor("c.bias"), "b.bias": tensor("b.bias")], from: .right) { rules() }
    #expect(first.values == ["a.bias": tensor("b.bias")])
    let second = try convert(["c.bias": tensor("c.bias")], from: .right) { rules() }
    #expect(second.values == ["a.bias": tensor("c.bias")])
  }

  @Test(arguments: [true, false]) func tiesFillWhatIsNone(shared: Bool) throws {
    let rules = {
      Tie(.right, "embedding", to: "head", when: RuleCondition.flag(.right, "share"))
    }
    let result = try convert(
      ["embedding": .other(.none), "head": tensor("head")], from: .right, right: ["share": .bool(shared)]
    ) {
      Rename("embedding", "embedding")
      Rename("head", "head")
      rules()
    }
    #expect(result.values["embedding"] == (shared ? tensor("head") : .other(.none)))
  }
}
