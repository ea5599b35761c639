import OrderedCollections
import Testing

@testable import Core

/// Where the state dict lies in a checkpoint.
@Suite struct CheckpointContentTests {
  private static let weight = ObjectTree.tensor(TensorDescriptor(dtype: .float32, shape: [2], storage: StorageID(0)))
  private static let state = ObjectTree.dictionary([.init(.string("a.weight"), weight)], ordered: true)
  private static let whole = ObjectTree.dictionary(
    [.init(.string("model"), state), .init(.string("global_step"), .int(7))], ordered: false)
  private static let release = Format.cs(Release(1, 8))

  @Test func findsTheModelEntry() throws {
    let content = try CheckpointContent(Self.whole, format: Self.release)
    #expect(Array(content.stateDict.values.keys) == ["a.weight"])
    #expect(content.otherEntries.map(\.key) == [.string("global_step")])
    #expect(!content.isBare)
  }

  @Test func takesABareStateDictOnlyBetweenReleases() throws {
    let content = try CheckpointContent(Self.state, format: Self.release, bareAllowed: true)
    #expect(Array(content.stateDict.values.keys) == ["a.weight"])
    #expect(content.isBare)
    #expect(try !CheckpointContent(Self.whole, format: Self.release, bareAllowed: true).isBare)
    for tree in [Self.state, .dictionary([], ordered: false)] {
      let error = try #require(conversionError { try CheckpointContent(tree, format: Self.release) })
      #expect(error.kind == .unreadableInput)
      #expect(error.message.contains("'model'"))
    }
  }

  /// A bare state dict stays one.
  @Test func writesABareStateDictBare() throws {
    let checkpoint = MemoryCheckpoint(["lm_head.weight": [2, 3]], model: false)
    let plan = try planned("t5", from: "cs-1.7", to: "cs-1.8", config: ["model": [:]], checkpoint)
    #expect(plan.tree?["lm_head.weight"] == .tensor(0))
    #expect(plan.tree?["model"] == nil)
  }

  @Test func dropsOtherEntriesWhereTheLayoutChanged() throws {
    func plan(_ source: String, _ target: String) throws -> Plan {
      let tree = ObjectTree<TensorDescriptor>.dictionary(
        [
          .init(.string("model"), .dictionary([.init(.string("lm_head.weight"), Self.weight)], ordered: true)),
          .init(.string("global_step"), .int(7)),
        ], ordered: false)
      // Only what stands beside the model counts here.
      var options = Planner.Options()
      options.allowIncomplete = true
      return try Planner.plan(
        config: ["model": [:]], checkpoint: tree, along: Catalogue.route(model: "t5", from: source, to: target),
        options: options)
    }
    let kept = try plan("cs-1.8", "cs-1.7")
    #expect(kept.tree?["global_step"] == .int(7))
    // An empty config describes no model to compare with.
    #expect(kept.warnings.allSatisfy { $0.message.contains("cannot be compared") })
    for (source, target) in [("cs-1.6", "cs-1.8"), ("cs-1.8", "cs-1.6"), ("cs-1.7", "cs-1.6")] {
      let dropped = try plan(source, target)
      #expect(dropped.tree?["global_step"] == nil)
      #expect(dropped.warnings.map(\.message).contains { $0.contains("optimizer state") })
    }
  }

  /// One element that stands for 2^44, many times: a small file whose tensors have more bytes than 64 bits count.
  @Test(arguments: [8_192, 8_193, 1 << 17])
  func refusesMoreBytesThanCanBeCounted(tensors: Int) throws {
    let wide = TensorDescriptor(dtype: .float64, shape: [1 << 44], strides: [0], storage: StorageID(0), offset: 0)
    let tree = ObjectTree<TensorDescriptor>.dictionary(
      [
        .init(.string("model"), .dictionary([.init(.string("lm_head.weight"), .tensor(wide))], ordered: true)),
        .init(.string("optimizer"), .list(Array(repeating: .tensor(wide), count: tensors - 1))),
      ], ordered: false)
    let result = Result {
      try Planner.plan(
        config: ["model": [:]], checkpoint: tree, along: Catalogue.route(model: "t5", from: "cs-1.8", to: "cs-1.7"))
    }
    guard tensors > 8_192 else {
      #expect(try result.get().byteCount == 1 << 60)
      return
    }
    let error = try #require(conversionError { try result.get() })
    #expect(error.kind == .hostileInput)
    #expect(error.message.contains("more than \(1 << 60) bytes"))
  }
}
