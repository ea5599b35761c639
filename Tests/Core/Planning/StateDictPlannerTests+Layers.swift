import OrderedCollections
import Testing

@testable import Core

/// Rules that read or write a key under more names than one, or insist on a key.
extension StateDictPlannerTests {
  private func repeated() -> [Rule] {
    Repeated("{stack=a|b}.{layer}.bias", "{stack=a|b}.bias", over: "layer", beside: "{stack=a|b}.{layer}.q").rules
      + Rename("{stack=a|b}.{layer}.q", "{stack=a|b}.{layer}.query").rules
  }

  @Test func repeatedKeysAreReadFromTheFirstLayer() throws {
    let result = try convert(["a.0.bias": tensor("a.0.bias"), "a.1.bias": tensor("a.1.bias"), "a.0.q": tensor("q")]) {
      repeated()
    }
    #expect(result.values == ["a.bias": tensor("a.0.bias"), "a.0.query": tensor("q")])
    #expect(result.findings.unmatched.isEmpty && result.findings.failures.isEmpty)
  }

  @Test func repeatedKeysAreWrittenForEachLayerOfTheirStack() throws {
    let result = try convert(
      [
        "a.bias": tensor("A"), "b.bias": tensor("B"), "a.0.query": tensor("q"), "b.0.query": tensor("q"),
        "b.12.query": tensor("q"),
      ], from: .right
    ) { repeated() }
    #expect(result.values["a.0.bias"] == tensor("A"))
    #expect(result.values["b.0.bias"] == tensor("B"))
    #expect(result.values["b.12.bias"] == tensor("B"))
    #expect(result.values.count == 6, "the stack a has one layer")
  }

  @Test func aliasesAreReadAndNeverWritten() throws {
    let rules = {
      Scope("norm.{layer}", "ln.{layer}") {
        Rename("{leaf}", "{leaf}")
        Alias(.left, "gamma", for: "weight")
      }
    }
    let read = try convert(["norm.3.gamma": tensor("g"), "norm.3.bias": tensor("b")]) { rules() }
    #expect(read.values == ["ln.3.weight": tensor("g"), "ln.3.bias": tensor("b")])
    let written = try convert(["ln.3.weight": tensor("g")], from: .right) { rules() }
    #expect(written.values == ["norm.3.weight": tensor("g")])
    let both = try convert(["norm.3.gamma": tensor("g"), "norm.3.weight": tensor("w")]) { rules() }
    #expect(both.values == ["ln.3.weight": tensor("w")], "the later counts")
    #expect(try convert(["ln.3.gamma": tensor("g")], from: .right) { rules() }.findings.unmatched == ["ln.3.gamma"])
  }

  @Test func neededKeysMustBeThere() throws {
    let rules = {
      Scope("x", "y") {
        Rename("{leaf}", "{leaf}")
        Needed(.right, "weight", "the left has no other")
      }
    }
    #expect(try convert(["x.bias": tensor("b")]) { rules() }.findings.failures.isEmpty, "only the right needs it")
    #expect(try convert(["y.weight": tensor("w")], from: .right) { rules() }.findings.failures.isEmpty)
    for values: OrderedDictionary in [["y.bias": tensor("b")], ["y.weight": .other(.none)]] {
      let failures = try convert(values, from: .right) { rules() }.findings.failures
      #expect(failures.map(\.subject) == [.tensor("y.weight")])
      #expect(failures.map(\.message) == ["'y.weight' is not in the checkpoint: the left has no other"])
    }
  }

  @Test func tiesWithoutConditionAlwaysHold() throws {
    let result = try convert(["head": tensor("head")]) {
      Rename("embedding", "embedding")
      Rename("head", "head")
      Tie(.left, "embedding", to: "head")
    }
    #expect(result.values == ["head": tensor("head"), "embedding": tensor("head")])
  }

  @Test func anOptionalPrefixIsTakenOffOnce() throws {
    let crossing = Bridge(
      covers: Release(1, 8)...Release(1, 8), hfClass: "", modelTypes: [""],
      tensors: { _ in Rename("a.{leaf}", "b.{leaf}").rules }, config: { _ in [] }
    ).crossing(at: Release(1, 8), zooName: "")
    let step = ConfigPlanner.Step(hop: .bridge(crossing, from: .cs), context: RuleContext(left: [:], right: [:]))
    var findings = StateDictPlanner.Findings()
    let planner = StateDictPlanner(step: step)
    let mixed = StateDict(["model.b.weight": tensor("w"), "b.bias": tensor("b")])
    #expect(try planner.convert(mixed, findings: &findings).values == ["a.weight": tensor("w"), "a.bias": tensor("b")])
    #expect(findings.failures.isEmpty)
    _ = try planner.convert(StateDict(["model.b.bias": tensor("w"), "b.bias": tensor("b")]), findings: &findings)
    #expect(findings.failures.count >= 1)
  }
}

/// The experts of a mixture, which one side keeps apart and the other in one tensor.
extension StateDictPlannerTests {
  private func experts(
    _ values: OrderedDictionary<String, StateDict.Value>
  ) throws -> (values: OrderedDictionary<String, StateDict.Value>, findings: StateDictPlanner.Findings) {
    try convert(values, right: ["layers": 2, "experts": 2, "rows": 4, "columns": 3]) {
      Scope("{layer}", "layer.{layer}", count: .cs("layers")) {
        Stack(
          "expert.{expert}", "experts", over: "expert", count: .cs("experts"),
          [.cs("rows"), .cs("experts"), .cs("columns")])
      }
    }
  }

  private static let complete = ["0.expert.0", "0.expert.1", "1.expert.0", "1.expert.1"]

  @Test func aCompleteStackIsComplete() throws {
    let result = try experts(.init(uniqueKeysWithValues: Self.complete.map { ($0, tensor($0, [4, 3])) }))
    #expect(result.findings.incomplete.isEmpty, "\(result.findings.incomplete)")
    #expect(result.values.keys == ["layer.0.experts", "layer.1.experts"])
    #expect(result.values.values.allSatisfy { $0.tensor?.shape == [4, 2, 3] })
  }

  @Test(arguments: complete) func aMissingMemberOfAStackIsNamed(_ missing: String) throws {
    let keys = Self.complete.filter { $0 != missing }
    let result = try experts(.init(uniqueKeysWithValues: keys.map { ($0, tensor($0, [4, 3])) }))
    #expect(result.findings.incomplete.map(\.subject) == [.tensor(missing)])
  }
}
