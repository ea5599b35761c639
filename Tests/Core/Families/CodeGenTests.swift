import OrderedCollections
import Testing

@testable import Core

/// What CodeGen does otherwise than GPT-J, and that it does the rest alike.
@Suite struct CodeGenTests {
  static let configs = ConfigConversion(
    model: "codegen",
    csBase: [
      "use_ffn_bias": true, "use_ffn_bias_in_attention": false, "use_projection_bias_in_attention": false,
      "use_bias_in_output": true, "num_heads": 4,
    ])

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "vocab_size": 50400, "max_position_embeddings": 2048, "hidden_size": 4096, "num_hidden_layers": 28,
        "num_heads": 16, "rotary_dim": 64, "filter_size": 16384, "nonlinearity": "gelu_new",
        "embedding_dropout_rate": 0.0, "attention_dropout_rate": 0.0, "residual_dropout_rate": 0.0,
        "share_embedding_weights": false, "use_bias_in_output": true, "use_untied_layer_norm": false,
        "use_ffn_bias": true, "use_ffn_bias_in_attention": false, "use_projection_bias_in_attention": false,
        "attention_type": "scaled_dot_product", "position_embedding_type": nil,
      ]),
    AcceptedKey(["n_head": 4, "n_embd": 8], ["num_heads": 4, "hidden_size": 8, "filter_size": 32]),
    AcceptedKey(["scale_attn_weights": true, "rotary": true], ["rotary": nil, "position_embedding_type": nil]),
    AcceptedKey(["tie_word_embeddings": true, "rotary_dim": 2], ["share_embedding_weights": true, "rotary_dim": 2]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("n_head", 3), RefusedKey("n_head", "16"), RefusedKey("scale_attn_weights", false),
    RefusedKey("position_embedding_type", "rotary"), RefusedKey("use_bias_in_output", true),
    RefusedKey("use_untied_layer_norm", false), RefusedKey("attention_type", "scaled_dot_product"),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "n_head": 4, "n_positions": 1024, "embd_pdrop": 0.1, "tie_word_embeddings": true, "activation_function": "gelu",
        "use_bias_in_output": nil, "use_untied_layer_norm": nil, "architectures": ["CodeGenForCausalLM"],
        "model_type": "codegen",
      ]),
    AcceptedKey(["position_embedding_type": "rotary"], ["position_embedding_type": nil, "rotary": nil]),
    AcceptedKey(["use_untied_layer_norm": false, "num_heads": 8], ["n_head": 8]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("num_heads", 3), RefusedKey("position_embedding_type", "learned"),
    RefusedKey("use_bias_in_output", false), RefusedKey("use_untied_layer_norm", true),
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("scale_attn_weights", true),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test(arguments: ["num_heads", "use_bias_in_output"]) func needsKeysOfTheModelZoo(_ key: String) {
    var base = Self.configs.csBase
    base[key] = nil
    let configs = ConfigConversion(model: "codegen", csBase: base)
    configs.checkRefusal(of: key) { try configs.hf([:]) }
  }

  // MARK: Tensors

  static let hfConfig: ConfigObject = ["n_embd": 8, "n_head": 8, "n_layer": 1, "n_positions": 3, "vocab_size": 5]
  static let csConfig: ConfigObject = [
    "model": [
      "hidden_size": 8, "num_heads": 8, "num_hidden_layers": 1, "max_position_embeddings": 3, "vocab_size": 5,
      "use_ffn_bias": true, "use_ffn_bias_in_attention": false, "use_projection_bias_in_attention": false,
      "use_bias_in_output": true,
    ]
  ]
  static let packed = "h.0.attn.qkv_proj.weight"
  static func part(_ name: String) -> String {
    "transformer_decoder.layers.0.self_attn.proj_\(name)_dense_layer.weight"
  }

  /// Six rows to a slice: two of q, two of v, two of k; eight heads still make four slices.
  @Test(arguments: [("q", 0), ("v", 1), ("k", 2)]) func unpacksFourSlices(_ name: String, position: Int) throws {
    let source = MemoryCheckpoint([(Self.packed, [24, 8])], model: false)
    let plan = try plannedParts("codegen-headless", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    let rows = source.rows(Self.packed, columns: 8)
    let expected = (0..<4).flatMap { (slice: Int) -> [Float] in
      let first = slice * 6 + position * 2
      return rows[first] + rows[first + 1]
    }
    #expect(try plan.floats(Self.part(name), from: source) == expected)
    #expect(plan.tensor(Self.part(name))?.shape == [8, 8])
  }

  @Test func packsFourSlices() throws {
    let source = MemoryCheckpoint(["q", "k", "v"].map { (Self.part($0), [8, 8]) }, model: true)
    let plan = try plannedParts("codegen-headless", from: "cs-1.7", to: "hf", config: Self.csConfig, source)
    var expected: [Float] = []
    for slice in 0..<4 {
      for name in ["q", "v", "k"] {
        expected += source.rows(Self.part(name), columns: 8)[slice * 2..<slice * 2 + 2].joined()
      }
    }
    #expect(try plan.floats(Self.packed, from: source) == expected)
  }

  @Test func packsPartsOfMixedPrecisionAsTheWiderOne() throws {
    for (narrow, wide, expected) in [
      (.float16, .float32, .float32), (.float16, .bfloat16, .float32), (.bfloat16, .bfloat16, .bfloat16),
    ] as [(DType, DType, DType)] {
      let dtypes = [Self.part("q"): narrow, Self.part("k"): wide, Self.part("v"): wide]
      let source = MemoryCheckpoint(["q", "k", "v"].map { (Self.part($0), [8, 8]) }, model: true, dtypes: dtypes)
      let plan = try plannedParts("codegen-headless", from: "cs-1.7", to: "hf", config: Self.csConfig, source)
      #expect(plan.tensor(Self.packed)?.dtype == expected)
    }
    let double = MemoryCheckpoint(
      ["q", "k", "v"].map { (Self.part($0), [8, 8]) }, model: true, dtypes: [Self.part("q"): .float64])
    let error = conversionError {
      try plannedParts("codegen-headless", from: "cs-1.7", to: "hf", config: Self.csConfig, double)
    }
    #expect(error?.kind == .stateDictMismatch)
  }

  @Test func writesOneMaskPerBlock() throws {
    let source = MemoryCheckpoint(
      ["transformer_decoder.layers.0.self_attn.proj_output_dense_layer.weight": [8, 8]], model: true)
    let plan = try plannedParts("codegen", from: "cs-1.8", to: "hf", config: Self.csConfig, source)
    #expect(plan.keys == ["transformer.h.0.attn.out_proj.weight", "transformer.h.0.attn.causal_mask"])
    #expect(plan.tensor("transformer.h.0.attn.causal_mask")?.expression == .generate(.causalMask(size: 3)))
  }

  @Test func leavesBuffersOut() throws {
    let names = ["causal_mask", "bias", "masked_bias", "out_proj.weight"]
    let source = MemoryCheckpoint(names.map { ("transformer.h.0.attn.\($0)", [8, 8]) }, model: false)
    let plan = try plannedParts("codegen", from: "hf", to: "cs-1.7", config: Self.hfConfig, source)
    #expect(plan.keys == ["transformer_decoder.layers.0.self_attn.proj_output_dense_layer.weight"])
  }

  @Test func doesNotKnowTheSecondNormOfGPTJ() throws {
    let key = "transformer_decoder.layers.0.norm3.weight"
    let source = MemoryCheckpoint([("model." + key, [8]), ("model.ln_f.weight", [8])], model: true)
    let error = conversionError { try plannedParts("codegen", from: "cs-1.8", to: "hf", config: Self.csConfig, source) }
    #expect(error?.kind == .keysUnmatched)
    #expect(error?.diagnostics.filter { $0.severity == .error }.map(\.message) == ["Key not matched: model.\(key)"])
    var options = Planner.Options()
    options.dropUnmatchedKeys = true
    let plan = try plannedParts("codegen", from: "cs-1.8", to: "hf", config: Self.csConfig, source, options: options)
    #expect(plan.keys == ["transformer.ln_f.weight"])
    #expect(plan.warnings.map(\.subject).contains(.tensor("model.\(key)")))
  }

  @Test func refusesWrongPacking() {
    let source = MemoryCheckpoint([("transformer.h.0.attn.qkv_proj.weight", [22, 8])], model: false)
    let error = conversionError { try plannedParts("codegen", from: "hf", to: "cs-1.8", config: Self.hfConfig, source) }
    #expect(error?.kind == .stateDictMismatch)
    #expect(error?.message.contains("transformer.h.0.attn.qkv_proj.weight") == true)
    #expect(error?.message.contains("[22, 8]") == true)
  }

  @Test(arguments: [true, false]) func refusesProjectionBias(fromModelZoo: Bool) {
    let key =
      fromModelZoo
      ? "transformer_decoder.layers.0.self_attn.proj_k_dense_layer.bias" : "transformer.h.0.attn.qkv_proj.bias"
    let source = MemoryCheckpoint([(key, [24])], model: fromModelZoo)
    let error = conversionError {
      try plannedParts(
        "codegen", from: fromModelZoo ? "cs-1.8" : "hf", to: fromModelZoo ? "hf" : "cs-1.8",
        config: fromModelZoo ? Self.csConfig : Self.hfConfig, source)
    }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.diagnostics.map(\.subject).contains(.tensor(key)) == true)
  }
}
