import OrderedCollections
import Testing

@testable import Core

/// The tensors of policy and reference.
@Suite struct DPOTensorTests {
  private static let policy = "policy_model.model."
  private static let reference = "ref_model.model."

  /// A whole checkpoint of a config of Hugging Face.
  private static func checkpoint(of config: ConfigObject) throws -> MemoryCheckpoint {
    let route = try Catalogue.route(model: "dpo", from: "hf", to: "cs-2.9-dpo", config: config)
    guard case .dictionary(let entries, _) = try Planner.described(by: config, along: route) else {
      return .init([:], model: false)
    }
    return MemoryCheckpoint(
      entries.map { entry in
        if case .tensor(let tensor) = entry.value {
          (entry.key.description, tensor.shape)
        } else {
          (entry.key.description, nil)
        }
      }, model: false)
  }

  /// A small GPT-2 in training: params and the shapes of its tensors.
  private static func training(
    _ target: String = "cs-2.9-dpo"
  ) throws -> (params: ConfigObject, shapes: [(key: String, shape: [Int]?)]) {
    let config = DPOTests.gpt2
    let plan = try planned("dpo", from: "hf", to: target, config: config, checkpoint(of: config))
    return (plan.config, plan.tensors.map { ($0.key, $0.tensor.shape) })
  }

  private static func hf(
    _ params: ConfigObject, _ shapes: [(key: String, shape: [Int]?)], _ options: Planner.Options = Planner.Options()
  ) throws -> Plan {
    try planned(
      "dpo", from: "cs-2.9-dpo", to: "hf", config: params, MemoryCheckpoint(shapes, model: true), options: options)
  }

  @Test(arguments: DPOTests.decoders) func tensorsAndConfigComeBack(_ decoder: DPOTests.Decoder) throws {
    let source = try Self.checkpoint(of: decoder.config)
    let there = try Catalogue.route(model: "dpo", from: "hf", to: "cs-2.9-dpo", config: decoder.config)
    let written = try ConfigPlanner.convert(decoder.config, along: there)
    let back = try Catalogue.route(model: "dpo", from: "cs-2.9-dpo", to: "hf", config: written.document)
    let returned = try ConfigPlanner.convert(written.document, along: back)
    for (key, value) in decoder.config {
      // Hugging Face leaves out what is the default, and says old dialects in the new one.
      if let result = returned.document[key] { #expect(result.isEqualInPython(value), "\(key)") }
    }
    for key in ["model_type", "vocab_size"] { #expect(returned.document[key] == decoder.config[key]) }

    let content = try CheckpointContent(source.tree, format: .hf)
    let middle = try CatalogueLawsTests.convert(content.stateDict, written.steps)
    let keys = Array(middle.values.keys).filter { $0.hasPrefix(Self.policy) }
    #expect(keys.contains("policy_model.model.lm_head.weight"))
    #expect(keys.count * 2 == middle.values.count)
    for key in keys {
      let twin = Self.reference + key.dropFirst(Self.policy.count)
      #expect(middle.values[key] != nil && middle.values[key] == middle.values[twin], "\(key)")
    }
    // The same tensors as without the training, under other names.
    let alone = try Catalogue.route(model: decoder.name, from: "hf", to: "cs-2.9")
    let bare = try CatalogueLawsTests.convert(
      content.stateDict, ConfigPlanner.convert(decoder.config, along: alone).steps)
    #expect(bare.values.keys.map { Self.policy + $0 } == keys)
    for (key, value) in bare.values { #expect(middle.values[Self.policy + key] == value, "\(key)") }

    let result = try CatalogueLawsTests.convert(middle, returned.steps)
    for (key, value) in content.stateDict.values {
      let (before, after) = (try #require(value.tensor), try #require(result.values[key]?.tensor, "\(key)"))
      if before.expression == after.expression { continue }
      #expect(
        try evaluated(after, sources: content.descriptors, from: source)
          == evaluated(before, sources: content.descriptors, from: source), "\(key)")
    }
  }

  @Test func equalTensorsHaveOneStorage() throws {
    let config = DPOTests.gpt2
    let plan = try planned("dpo", from: "hf", to: "cs-2.9-dpo", config: config, Self.checkpoint(of: config))
    let tree = try #require(plan.tree)
    let shared = try OutputLayout(plan, trees: [tree], sharing: true)
    let policy = plan.tensors.filter { $0.key.hasPrefix(Self.policy) }
    #expect(plan.tensors.count == policy.count * 2)
    // The final norm is one module under two names.
    #expect(shared.jobs.count == policy.count - 2)
    #expect(shared.jobs.allSatisfy { $0.tensorCount >= 2 })
  }

  // MARK: Reading

  @Test func leavesTheReferenceOut() throws {
    let (params, shapes) = try Self.training()
    let plan = try Self.hf(params, shapes)
    #expect(plan.tensors.flatMap(\.tensor.expression.sourceKeys).allSatisfy { $0.hasPrefix(Self.policy) })
    #expect(plan.warnings.allSatisfy { $0.kind != .stateDictMismatch })
    // A training without a reference has none in its checkpoint.
    let free = try Self.hf(params, shapes.filter { $0.key.hasPrefix(Self.policy) })
    #expect(free.tensors.map(\.key) == plan.tensors.map(\.key))
    #expect(free.warnings.allSatisfy { $0.kind != .stateDictMismatch })
  }

  @Test func saysWhereTheReferenceIsAnotherModel() throws {
    let (params, shapes) = try Self.training()
    let spare = "ref_model.model.transformer_decoder.layers.7.norm1.weight"
    let missing = "ref_model.model.transformer_decoder.layers.1.norm1.bias"
    let changed = "ref_model.model.lm_head.weight"
    var others = shapes.filter { $0.key != missing }.map { ($0.key, $0.key == changed ? [99, 8] : $0.shape) }
    others.append((spare, [8]))
    let plan = try Self.hf(params, others)
    let findings = plan.warnings.filter { $0.kind == .stateDictMismatch }
    #expect(findings.count == 1)
    #expect(
      findings.first?.message
        == "ref_model.model.{rest} is left out, and it is no copy of policy_model.model.{rest}: the original lacks "
        + "\(spare); the copy lacks \(missing); another shape or dtype has \(changed)")
  }

  @Test func namesWhatThePolicyLacks() throws {
    let (params, shapes) = try Self.training()
    let key = "policy_model.model.transformer_decoder.layers.1.norm1.weight"
    let incomplete = shapes.filter { $0.key != key }
    let error = try #require(conversionError { try Self.hf(params, incomplete) })
    #expect(error.kind == .stateDictMismatch)
    #expect(error.diagnostics.contains { $0.subject == .tensor(key) && $0.message.contains("is missing") })
    var options = Planner.Options()
    options.allowIncomplete = true
    #expect(try Self.hf(params, incomplete, options).keys.contains("transformer.h.1.ln_1.bias"))

    let strange = shapes + [("policy_model.model.strange", [1]), ("value_head.weight", [1])]
    let unmatched = try #require(conversionError { try Self.hf(params, strange) })
    #expect(unmatched.kind == .keysUnmatched)
    for key in ["policy_model.model.strange", "value_head.weight"] {
      #expect(unmatched.diagnostics.contains { $0.subject == .tensor(key) })
    }
  }

  @Test func foldsTheScalesOfThePolicy() throws {
    var (params, shapes) = try Self.training()
    params.setValue(5.0, at: "model.embeddings_scale")
    let plan = try Self.hf(params, shapes)
    let embedding = try #require(plan.tensor("transformer.wte.weight"))
    #expect(embedding.expression.sourceKeys == ["policy_model.model.embedding_layer.word_embeddings.weight"])
    let source = MemoryCheckpoint(shapes, model: true)
    #expect(
      try plan.floats("transformer.wte.weight", from: source)
        == source["policy_model.model.embedding_layer.word_embeddings.weight"].map { $0 * 5 })
  }

  // MARK: Between releases

  @Test func aDecoderBecomesPolicyAndReference() throws {
    let (params, shapes) = try Self.training("cs-2.1-no-dpo")
    #expect(shapes.contains { $0.key == "lm_head.weight" } && !shapes.contains { $0.key.contains("_model.") })
    // Files of the Model Zoo's own trainer carry a prefix.
    for prefix in ["", "model."] {
      let source = MemoryCheckpoint(shapes.map { (prefix + $0.key, $0.shape) }, model: true)
      let plan = try planned("dpo", from: "cs-2.1-no-dpo", to: "cs-2.1-dpo", config: params, source)
      #expect(plan.keys == Set(shapes.flatMap { [Self.policy + $0.key, Self.reference + $0.key] }))
      for (key, _) in shapes {
        #expect(plan.tensor(Self.policy + key)?.expression.sourceKeys == [prefix + key])
        #expect(plan.tensor(Self.reference + key)?.expression == plan.tensor(Self.policy + key)?.expression)
      }
      let training = MemoryCheckpoint(plan.tensors.map { ($0.key, $0.tensor.shape) }, model: true)
      let back = try planned("dpo", from: "cs-2.1-dpo", to: "cs-2.1-no-dpo", config: plan.config, training)
      #expect(back.keys == Set(shapes.map(\.key)))
      #expect(back.config == params)
    }
  }

  /// Params of a decoder alone can be judged without a checkpoint, and Hugging Face converts to them without a detour.
  @Test func aDecoderAloneIsDescribed() throws {
    let (params, shapes) = try Self.training("cs-2.1-no-dpo")
    let route = try Catalogue.route(model: "dpo", from: "cs-2.1-no-dpo", to: "cs-2.1-dpo", config: params)
    let described = try Planner.described(by: params, along: route)
    guard case .dictionary(let entries, _)? = described["model"] else {
      Issue.record("no state dict is described")
      return
    }
    // Tensors that have two names are described under one.
    #expect(
      Set(entries.map(\.key.description))
        == Set(shapes.map(\.key)).subtracting(["ln_f.weight", "embedding_layer.word_embeddings.weight"]))
    let decoder = try Catalogue.route(model: "gpt2", from: "hf", to: "cs-2.1")
    var plain = try Planner.plan(config: DPOTests.gpt2, along: decoder).config
    plain.setValue("gpt2", at: "model.model_name")
    #expect(ConfigValue.object(plain).isEqualInPython(.object(params)))
  }

  @Test func aTrainedDecoderIsNoDecoderAlone() throws {
    let (params, shapes) = try Self.training()
    var plain = params
    plain.removeValue(at: "model.dpo")
    let error = conversionError {
      try planned(
        "dpo", from: "cs-2.1-no-dpo", to: "cs-2.1-dpo", config: plain, MemoryCheckpoint(shapes, model: true))
    }
    #expect(error?.kind == .keysUnmatched)
  }

  @Test(arguments: [("auto", "auto"), ("dpo", "cs-auto"), ("dpo", "auto")])
  func isDetected(_ model: String, _ format: String) throws {
    let (params, shapes) = try Self.training()
    let route = try Detection.route(
      model: model, from: format, to: "hf", config: params, checkpoint: MemoryCheckpoint(shapes, model: true).tree,
      options: Planner.Options()
    ).route
    #expect(route.model.name == "dpo")
    #expect(route.model.bridges[0].hfClass == "GPT2LMHeadModel")
    let refused = conversionError {
      try Detection.route(
        model: "dpo", from: format == "cs-auto" ? "cs-auto" : "auto", to: "hf",
        config: ["model": ["model_name": "opt"]],
        checkpoint: nil, options: Planner.Options())
    }
    #expect(refused?.kind == .configNotConvertible)
  }

  /// A checkpoint says the numbers of its release, not the variant.
  @Test func readsTheRecordedRelease() throws {
    let (params, shapes) = try Self.training()
    guard case .dictionary(let entries, let ordered) = MemoryCheckpoint(shapes, model: true).tree else { return }
    let record = ObjectTree<TensorDescriptor>.list([
      .dictionary([.init(.string("version"), .string("2.7.0"))], ordered: false)
    ])
    let tree = ObjectTree<TensorDescriptor>.dictionary(
      entries + [.init(.string("__metadata__"), record)], ordered: ordered)
    for model in ["dpo", "auto"] {
      let route = try Detection.route(
        model: model, from: "cs-auto", to: "hf", config: params, checkpoint: tree, options: Planner.Options()
      ).route
      #expect(route.source.description == "cs-2.7-dpo")
    }
  }
}
