import OrderedCollections
import Testing

@testable import Core

/// What trainers put around keys and state dicts, for every model of the catalogue.
@Suite struct TrainerWrappersTests {
  /// A layout of a model with keys of it.
  struct Layout: Sendable, CustomTestStringConvertible {
    let model: Model
    let format: Format

    var testDescription: String { "\(model.name): \(format)" }

    /// Example keys that the rules of the first step claim.
    var keys: [String] {
      guard let hop = KnownKeys.probe(model, from: format)?.hops.last else { return [] }
      let (rules, side): ([Rule], Side) =
        switch hop {
        case .bridge(let bridge, let side): (bridge.tensors, side)
        case .revision(let revision, let side): (revision.tensors, side)
        }
      // The rules of the last step name the keys of its own layout, which is that of the source where one step is enough.
      guard KnownKeys.probe(model, from: format)?.hops.count == 1 else { return [] }
      // A copy has the keys of its original under another name.
      let own = rules.filter { if case .make(.copy) = $0.action { false } else { true } }
      return own.flatMap { $0.instances(on: side, numbers: [0, 12]).joined() }
    }
  }

  static let layouts = Catalogue.models.flatMap(\.alternatives).flatMap { model in
    model.formats.map { Layout(model: model, format: $0) }
  }

  @Test(arguments: layouts) func keysAreFoundInsideWrappers(_ layout: Layout) throws {
    let known = try #require(KnownKeys(layout.model, in: layout.format))
    let wrappers = TrainerWrappers(known)
    for key in layout.keys {
      #expect(known.contains(key), "\(key)")
      #expect(wrappers.unwrapped(key) == key)
      for prefix in ["module.", "_orig_mod.", "_forward_module.", "base_model.model.", "module._orig_mod.module."] {
        #expect(wrappers.unwrapped(prefix + key) == key, "\(prefix)\(key)")
      }
      var segments = key.split(separator: ".")
      segments.insert("_checkpoint_wrapped_module", at: segments.count - 1)
      segments.insert("_fsdp_wrapped_module", at: 0)
      #expect(wrappers.unwrapped(segments.joined(separator: ".")) == key)
      for prefix in ["strange.", "modules.", "module_"] { #expect(wrappers.unwrapped(prefix + key) == nil) }
    }
  }

  private func known(_ format: Format) throws -> KnownKeys {
    let model = try #require(Catalogue.model(named: "gpt2"))
    return try #require(KnownKeys(model, in: format))
  }

  @Test func renamesCountsAndNames() throws {
    var wrappers = TrainerWrappers(try known(.hf))
    let names = try wrappers.renamed([
      "module.transformer.wte.weight", "module.transformer.h._orig_mod.0.ln_1.bias", "module.criterion.weight",
      "lm_head.weight",
    ])
    #expect(
      names == ["transformer.wte.weight", "transformer.h.0.ln_1.bias", "module.criterion.weight", "lm_head.weight"])
    let message = try #require(wrappers.warning?.message)
    #expect(message.hasSuffix("taken off the keys: 'module.' (2 keys), '_orig_mod.' (1 keys)"))
  }

  @Test func nothingIsSaidWhereNothingIsWrapped() throws {
    var wrappers = TrainerWrappers(try known(.hf))
    #expect(try wrappers.renamed(["transformer.wte.weight", "x"]) == ["transformer.wte.weight", "x"])
    #expect(wrappers.warning == nil)
  }

  @Test func refusesTheModelTwice() throws {
    var wrappers = TrainerWrappers(try known(.hf))
    let error = conversionError { try wrappers.renamed(["lm_head.weight", "module.lm_head.weight"]) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("'module.lm_head.weight'") == true)
  }

  /// The prefix that a release of the Model Zoo itself allows is no trainer's.
  @Test func theModelsOwnPrefixStays() throws {
    let wrappers = TrainerWrappers(try known(.cs(Release(1, 7))))
    #expect(wrappers.unwrapped("model.lm_head.weight") == "model.lm_head.weight")
    #expect(wrappers.unwrapped("module.model.lm_head.weight") == "lm_head.weight")
  }

  // MARK: Dictionaries

  private typealias Tree = ObjectTree<TensorDescriptor>
  private static let weight = Tree.tensor(TensorDescriptor(dtype: .float32, shape: [2], storage: StorageID(0)))

  private static func state(_ count: Int) -> Tree {
    .dictionary((0..<count).map { .init(.string("transformer.h.\($0).ln_1.bias"), weight) }, ordered: true)
  }

  private func found(_ tree: Tree, format: Format = .hf) throws -> CheckpointContent {
    try CheckpointContent(
      tree, format: format, bareAllowed: true, known: try known(format))
  }

  private func around(_ state: Tree, _ path: String...) -> Tree {
    path.reversed().reduce(state) { inner, name in
      .dictionary(
        [.init(.string("loss"), Self.weight), .init(.string(name), inner), .init(.string("epoch"), .int(1))],
        ordered: false)
    }
  }

  @Test func theDictionaryWithTheKeysOfTheModelWins() throws {
    for path in ["model", "weights", "model_state_dict", "any"] {
      let content = try found(around(Self.state(3), path))
      #expect(content.wrappers == [path])
      #expect(content.keyCount == 3)
      #expect(content.otherEntries.isEmpty)
    }
    #expect(try found(around(Self.state(3), "state", "inner")).wrappers == ["state.inner"])
    #expect(try found(.tuple([Self.state(2), .none])).wrappers == ["[0]"])
    // Three levels are one too many.
    #expect(try found(around(Self.state(3), "a", "b", "c")).wrappers == [])
  }

  @Test func theLargerDictionaryWins() throws {
    let tree = Tree.dictionary(
      [.init(.string("model"), Self.state(2)), .init(.string("other"), Self.state(5))], ordered: false)
    let content = try found(tree)
    #expect(content.wrappers == ["other"])
    #expect(content.keyCount == 5)
  }

  @Test func usualNamesWinBetweenEquals() throws {
    func pair(_ first: String, _ second: String) -> Tree {
      .dictionary([.init(.string(first), Self.state(2)), .init(.string(second), Self.state(2))], ordered: false)
    }
    #expect(try found(pair("ema", "model_state_dict")).wrappers == ["model_state_dict"])
    #expect(try found(pair("averaged", "weights")).wrappers == ["weights"])
    let error = try #require(conversionError { try found(pair("student", "teacher")) })
    #expect(error.kind == .unreadableInput)
    #expect(error.message.contains("'student' and 'teacher'"))
  }

  @Test func aModelZooCheckpointKeepsItsPlace() throws {
    let state = Tree.dictionary([.init(.string("lm_head.weight"), Self.weight)], ordered: true)
    let own = try found(
      .dictionary([.init(.string("model"), state), .init(.string("global_step"), .int(7))], ordered: false),
      format: .cs(Release(1, 8)))
    #expect(own.wrappers == [])
    #expect(own.otherEntries.map(\.key) == [.string("global_step")])
    let wrapped = try found(around(state, "model_state_dict"), format: .cs(Release(1, 8)))
    #expect(wrapped.wrappers == ["model_state_dict"])
    #expect(!wrapped.isBare)
  }

  /// Expressions read the tensors of the file, whatever their keys became.
  @Test func tensorsAreReadUnderTheKeysOfTheFile() throws {
    let content = try found(.dictionary([.init(.string("module.lm_head.weight"), Self.weight)], ordered: true))
    #expect(Array(content.stateDict.values.keys) == ["lm_head.weight"])
    #expect(content.stateDict.values["lm_head.weight"]?.tensor?.expression == .source("module.lm_head.weight"))
    #expect(content.descriptors["module.lm_head.weight"] != nil)
    #expect(content.wrappedKeys == ["lm_head.weight": "module.lm_head.weight"])
  }

  /// Optimizer state is kept by the names of the file and follows its parameter.
  @Test func optimizerStateFollowsWrappedParameters() throws {
    let moments = Tree.dictionary([.init(.string("exp_avg"), Self.weight)], ordered: false)
    let tree = Tree.dictionary(
      [
        .init(.string("model"), .dictionary([.init(.string("module.lm_head.weight"), Self.weight)], ordered: true)),
        .init(
          .string("optimizer"),
          .dictionary(
            [.init(.string("state"), .dictionary([.init(.string("module.lm_head.weight"), moments)], ordered: false))],
            ordered: false)),
      ], ordered: false)
    let plan = try Planner.plan(
      config: ["model": [:]], checkpoint: tree, along: Catalogue.route(model: "t5", from: "cs-1.7", to: "cs-1.8"))
    #expect(plan.tree?["model"]?["lm_head.weight"] == .tensor(0))
    #expect(plan.tree?["optimizer"]?["state"]?["lm_head.weight"] != nil)
    #expect(plan.warnings.contains { $0.message.contains("'module.'") })
  }
}
