import OrderedCollections
import Testing

@testable import Core

/// Entries beside the state dict.
@Suite struct EntryRuleTests {
  private typealias Tree = ObjectTree<SymbolicTensor>

  private func tensor(_ name: String) -> Tree {
    .tensor(SymbolicTensor(source: name, dtype: .float32, shape: [2]))
  }

  private func dictionary(_ entries: KeyValuePairs<String, Tree>) -> Tree {
    .dictionary(entries.map { .init(.string($0.key), $0.value) }, ordered: false)
  }

  private func entries(_ tree: Tree) -> [Tree.Entry] {
    if case .dictionary(let entries, _) = tree { entries } else { [] }
  }

  @Test func masksMoveBesideTheirWeights() throws {
    let optimizer = dictionary([
      "state": dictionary(["w": dictionary(["exp_avg": tensor("m")])]),
      "sparsity": dictionary([
        "state": dictionary(["w": dictionary(["mask": tensor("mask")]), "gone": dictionary(["mask": tensor("g")])]),
        "step": .int(7),
        "param_groups": .list([
          dictionary(["param_names": .list([.string("w")]), "sparsity": dictionary(["step": .int(3)])]),
          dictionary(["param_names": .list([.string("v")]), "sparsity": .double(0.5)]),
        ]),
      ]),
    ])
    var checkpoint = CheckpointEntries(
      entries(dictionary(["optimizer": optimizer])),
      stateDict: StateDict(["w": .tensor(SymbolicTensor(source: "w", dtype: .float32, shape: [2]))]))
    checkpoint.apply([.sparsityMasks], from: .older)
    #expect(Array(checkpoint.stateDict.values.keys) == ["w", "w_mask"])
    #expect(checkpoint.stateDict.values["w_mask"]?.tensor.map(Tree.tensor) == tensor("mask"))
    #expect(checkpoint["optimizer"]?["sparsity"] == nil)
    #expect(checkpoint["optimizer"]?["state"] == optimizer["state"])
    #expect(
      checkpoint["sparsity"]
        == dictionary(["step": .int(7), "sparsity": dictionary(["w": dictionary(["index": .int(3)])])]))
    #expect(checkpoint.warnings.map(\.subject) == [.tensor("gone")])
    let once = checkpoint
    checkpoint.apply([.sparsityMasks], from: .older)
    #expect(checkpoint.entries == once.entries)
    checkpoint.apply([.sparsityMasks], from: .newer)
    #expect(checkpoint.warnings.last?.subject == .tensor("w_mask"))
    #expect(checkpoint.stateDict.values.count == 2)
  }

  @Test(arguments: [(4, 9, 9), (9, 9, 9)]) func lastEpochFollowsTheStep(_ epoch: Int, _ step: Int, _ expected: Int) {
    var checkpoint = CheckpointEntries(
      entries(
        dictionary(["lr_scheduler": dictionary(["last_epoch": .int(epoch), "x": .none]), "global_step": .int(step)])),
      stateDict: StateDict())
    checkpoint.repairLastEpoch()
    #expect(checkpoint["lr_scheduler"] == dictionary(["last_epoch": .int(expected), "x": .none]))
  }

  @Test func metadataGrowsByOneRecord() {
    var checkpoint = CheckpointEntries([], stateDict: StateDict())
    checkpoint.appendMetadata(Release(2, 3), params: ["model": ["n": 1]])
    checkpoint.appendMetadata(Release(2, 10), params: ["model": ["n": nil, "eps": 1e-5, "tags": ["a", true]]])
    #expect(
      checkpoint["__metadata__"]
        == .list([
          dictionary([
            "version": .string("2.3.0"), "model_name": .string(""),
            "params": dictionary(["model": dictionary(["n": .int(1)])]),
          ]),
          dictionary([
            "version": .string("2.10.0"), "model_name": .string(""),
            "params": dictionary([
              "model": dictionary(["n": .none, "eps": .double(1e-5), "tags": .list([.string("a"), .bool(true)])])
            ]),
          ]),
        ]))
  }

  @Test func oldReleasesGetNoMetadataOfTheirOwn() {
    let none = CheckpointEntries([], stateDict: StateDict())
    let some = CheckpointEntries([.init(.string("__metadata__"), .list([]))], stateDict: StateDict())
    let (old, new) = (Format.cs(Release(1, 7)), Format.cs(Release(2, 0)))
    #expect(!none.takesMetadata(from: old, to: .cs(Release(1, 8))))
    #expect(some.takesMetadata(from: old, to: .cs(Release(1, 8))))
    #expect(none.takesMetadata(from: old, to: new))
    #expect(none.takesMetadata(from: new, to: old))
    #expect(!none.takesMetadata(from: new, to: .hf))
  }
}
