import OrderedCollections
import Testing

@testable import Core

@Suite struct LlamaTests {
  static let section: ConfigObject = [
    "position_embedding_type": "rotary", "norm_type": "rmsnorm", "nonlinearity": "swiglu", "hidden_size": 16,
    "num_heads": 4, "num_hidden_layers": 1, "filter_size": 24, "vocab_size": 5, "max_position_embeddings": 6,
    "rotary_dim": 4, "share_embedding_weights": false, "use_projection_bias_in_attention": false,
    "use_ffn_bias_in_attention": false, "use_ffn_bias": false,
  ]
  static let config: ConfigObject = [
    "model_type": "llama", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 1, "vocab_size": 5,
    "intermediate_size": 24,
  ]
  static let configs = ConfigConversion(model: "llama", csBase: section, release: "cs-2.9")
  static let mistral = ConfigConversion(model: "mistral", csBase: section, release: "cs-2.9")

  // MARK: Config to the Model Zoo

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "name": "llama", "position_embedding_type": "rotary", "norm_type": "rmsnorm", "rotary_dim": 4,
        "attention_type": "scaled_dot_product", "embedding_layer_norm": false, "use_bias_in_output": false,
        "attention_dropout_rate": 0.0, "dropout_rate": 0.0, "embedding_dropout_rate": 0.0, "nonlinearity": "swiglu",
        "max_position_embeddings": 2048, "layer_norm_epsilon": 1e-6, "initializer_range": 0.02,
        "share_embedding_weights": false, "pos_scaling_factor": 1.0, "attention_module": nil,
        "attention_inner_dim": nil, "use_ffn_bias": false, "norm_first": nil, "use_ff_layer1_dropout": nil,
      ]),
    AcceptedKey(["num_key_value_heads": 4], ["attention_module": "aiayn_attention", "extra_attention_params": nil]),
    AcceptedKey(["num_key_value_heads": nil], ["attention_module": "aiayn_attention"]),
    AcceptedKey(
      ["num_key_value_heads": 2],
      ["attention_module": "multiquery_attention", "extra_attention_params": ["num_kv_groups": 2]]),
    AcceptedKey(["head_dim": 6], ["attention_inner_dim": 24, "rotary_dim": 6]),
    AcceptedKey(["head_dim": 4], ["attention_inner_dim": nil, "rotary_dim": 4]),
    AcceptedKey(["head_dim": nil], ["attention_inner_dim": nil, "rotary_dim": 4]),
    AcceptedKey(
      ["attention_bias": true],
      ["use_projection_bias_in_attention": true, "use_ffn_bias_in_attention": true, "use_ffn_bias": false]),
    AcceptedKey(["mlp_bias": true], ["use_ffn_bias": true, "use_projection_bias_in_attention": false]),
    AcceptedKey(["hidden_act": "gelu"], ["nonlinearity": "geglu"]),
    AcceptedKey(["hidden_act": "relu"], ["nonlinearity": "reglu"]),
    AcceptedKey(["hidden_act": "silu"], ["nonlinearity": "swiglu"]),
    AcceptedKey(["rope_theta": 500000.0], ["rope_theta": 500000.0]),
    AcceptedKey(["tie_word_embeddings": true], ["share_embedding_weights": true]),
    AcceptedKey(["partial_rotary_factor": 1.0], ["rotary_dim": 4]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(Self.config.merging(accepted.source) { _, new in new }), accepted)
  }

  @Test(arguments: [
    RefusedKey("num_key_value_heads", 3), RefusedKey("num_key_value_heads", 0), RefusedKey("head_dim", 5),
    RefusedKey("head_dim", 0), RefusedKey("head_dim", 2_147_483_646), RefusedKey("hidden_act", "tanh"),
    RefusedKey("hidden_act", "gelu_new"), RefusedKey("attention_bias", "yes"), RefusedKey("mlp_bias", 2),
    RefusedKey("partial_rotary_factor", 0.5), RefusedKey("model_type", "mistral"), RefusedKey("hidden_size", 0),
    RefusedKey("norm_first", true), RefusedKey("embedding_layer_norm", false),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    var config = Self.config
    config[refused.key] = refused.value
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs(config) }
  }

  /// Params are checked from 2.4 on, and these two keys of older files are refused there.
  @Test func writesDefaultsOfOldReleasesOnly() throws {
    let old = try ConfigConversion(model: "llama", csBase: [:], release: "cs-2.3").cs(Self.config)
    #expect(old["norm_first"] == true && old["use_ff_layer1_dropout"] == false)
  }

  // MARK: Config to Hugging Face

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_attention_heads": 4, "hidden_act": "silu",
        "intermediate_size": 24, "rope_scaling": nil, "tie_word_embeddings": false, "num_key_value_heads": nil,
        "head_dim": nil, "attention_bias": nil, "mlp_bias": nil,
      ]),
    AcceptedKey(
      ["attention_module": "multiquery_attention", "extra_attention_params": ["num_kv_groups": 2]],
      ["num_key_value_heads": 2]),
    AcceptedKey(["attention_module": "multiquery_attention"], ["num_key_value_heads": 1]),
    AcceptedKey(["extra_attention_params": [:]], ["num_key_value_heads": 4]),
    AcceptedKey(["attention_inner_dim": 24, "rotary_dim": 6], ["head_dim": 6]),
    AcceptedKey(["attention_inner_dim": nil], ["head_dim": nil]),
    AcceptedKey(
      ["use_projection_bias_in_attention": true, "use_ffn_bias_in_attention": true],
      ["attention_bias": true, "mlp_bias": nil]),
    AcceptedKey(["use_ffn_bias": true], ["mlp_bias": true]),
    AcceptedKey(["nonlinearity": "reglu"], ["hidden_act": "relu"]),
    AcceptedKey(["nonlinearity": "geglu"], ["hidden_act": "gelu"]),
    AcceptedKey(["embeddings_scale": 1.0, "mup_base_hidden_size": nil], ["hidden_size": 16]),
    AcceptedKey(
      ["embeddings_scale": 2.0, "share_embedding_weights": true],
      ["tie_word_embeddings": false, "embeddings_scale": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    let config = try Self.configs.hf(accepted.source)
    Self.configs.check(config.filter { $0.value != .null }, accepted)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "learned"), RefusedKey("norm_type", "layernorm"),
    RefusedKey("nonlinearity", "gelu"), RefusedKey("nonlinearity", "swiglu_clamped"), RefusedKey("rotary_dim", 2),
    RefusedKey("rotary_dim", nil), RefusedKey("use_bias_in_output", true), RefusedKey("norm_first", false),
    RefusedKey("attention_dropout_rate", 0.1), RefusedKey("dropout_rate", 0.1),
    RefusedKey("embedding_dropout_rate", 0.1), RefusedKey("attention_type", "dot_product"),
    RefusedKey("embedding_layer_norm", true), RefusedKey("use_ff_layer1_dropout", true),
    RefusedKey("fixed_sparse_attention", ["n_heads": 2]), RefusedKey("use_position_embedding", false),
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("attention_inner_dim", 18),
    RefusedKey("attention_module", "other"), RefusedKey("attention_sliding_window_length", 4),
    RefusedKey("attention_qk_norm_layer", "rmsnorm"),
    RefusedKey("final_logit_softcapping", 30.0),
    RefusedKey("attention_logit_softcapping", 50.0), RefusedKey("norm_first_sandwich", true),
    RefusedKey("attention_chunk_size", 2), RefusedKey("use_sink_token", true),
    RefusedKey("position_embedding_offset", 1), RefusedKey("rel_distance_mode", "capped"),
    RefusedKey("cross_attention_layers", [1]), RefusedKey("num_extra_input_vocab_tokens", 3),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test(
    arguments: [
      (["moe": ["num_experts": 4]], "moe.num_experts"),
      (
        ["attention_module": "multiquery_attention", "extra_attention_params": ["num_kv_groups": 3]],
        "extra_attention_params.num_kv_groups"
      ), (["extra_attention_params": ["num_kv_groups": 2]], "extra_attention_params.num_kv_groups"),
    ] as [(ConfigObject, String)])
  func refusesSections(_ section: ConfigObject, key: String) {
    Self.configs.checkRefusal(of: key) { try Self.configs.hf(section) }
  }

  /// Without a head there is nothing that the scale of the logits could go into; so the vendor's tool refuses all of muP.
  @Test func refusesMuPWithoutAHead() {
    let configs = ConfigConversion(model: "llama-headless", csBase: Self.section, release: "cs-2.9")
    configs.checkRefusal(of: "embeddings_scale") { try configs.hf(["embeddings_scale": 2.0]) }
  }

  /// What the class takes for a key that is not there is no Llama.
  @Test(arguments: ["position_embedding_type", "norm_type", "nonlinearity", "rotary_dim"])
  func needs(_ key: String) {
    var section = Self.section
    section[key] = nil
    let configs = ConfigConversion(model: "llama", csBase: section, release: "cs-2.9")
    configs.checkRefusal(of: key) { try configs.hf([:]) }
  }

  /// Biases are on unless a config says otherwise.
  @Test func readsTheClassDefaultsOfBiases() throws {
    var section = Self.section
    for key in ["use_projection_bias_in_attention", "use_ffn_bias_in_attention", "use_ffn_bias"] { section[key] = nil }
    let config = try ConfigConversion(model: "llama", csBase: section, release: "cs-2.9").hf([:])
    #expect(config["attention_bias"] == true && config["mlp_bias"] == true)
  }

  // MARK: Mistral

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "name": "mistral", "attention_sliding_window_length": 4096,
        "extra_attention_params": ["num_kv_groups": 8], "max_position_embeddings": 131072,
      ]),
    AcceptedKey(["sliding_window": nil], ["attention_sliding_window_length": .some(.null)]),
    AcceptedKey(["sliding_window": 7], ["attention_sliding_window_length": 7]),
  ])
  func convertsMistralToModelZoo(_ accepted: AcceptedKey) throws {
    let base: ConfigObject = ["model_type": "mistral", "hidden_size": 64, "num_attention_heads": 16]
    Self.mistral.check(try Self.mistral.cs(base.merging(accepted.source) { _, new in new }), accepted)
  }

  /// transformers takes other values where these are left out.
  @Test func writesWhatMistralWouldAssume() throws {
    let config = try Self.mistral.hf([:])
    #expect(config["num_key_value_heads"] == 4)
    #expect(config["sliding_window"] == .null)
    #expect(config["architectures"] == ["MistralForCausalLM"])
    #expect(try Self.mistral.hf(["attention_sliding_window_length": 3])["sliding_window"] == 3)
  }

  @Test(arguments: [
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("use_ffn_bias_in_attention", true),
    RefusedKey("use_ffn_bias", true),
  ])
  func refusesBiasesForMistral(_ refused: RefusedKey) {
    Self.mistral.checkRefusal(of: refused.key) { try Self.mistral.hf([refused.key: refused.value]) }
  }

  // MARK: Tensors

  static let layer = "transformer_decoder.layers.0."
  static let shapes: [(key: String, shape: [Int]?)] = [
    ("model.embed_tokens.weight", [5, 16]), ("model.layers.0.self_attn.q_proj.weight", [24, 16]),
    ("model.layers.0.self_attn.q_proj.bias", [24]), ("model.layers.0.self_attn.k_proj.weight", [12, 16]),
    ("model.layers.0.self_attn.k_proj.bias", [12]), ("model.layers.0.self_attn.v_proj.weight", [12, 16]),
    ("model.layers.0.self_attn.v_proj.bias", [12]), ("model.layers.0.self_attn.o_proj.weight", [16, 24]),
    ("model.layers.0.self_attn.o_proj.bias", [16]), ("model.layers.0.mlp.gate_proj.weight", [24, 16]),
    ("model.layers.0.mlp.up_proj.weight", [24, 16]), ("model.layers.0.mlp.down_proj.weight", [16, 24]),
    ("model.layers.0.input_layernorm.weight", [16]), ("model.layers.0.post_attention_layernorm.weight", [16]),
    ("model.norm.weight", [16]), ("lm_head.weight", [5, 16]),
  ]
  /// Two groups for four heads, of six rows each where width and heads would say four, and biases.
  static let wide = config.merging(["num_key_value_heads": 2, "head_dim": 6, "attention_bias": true]) { _, new in new }

  @Test func interleavesQueriesByHeadsAndKeysByGroups() throws {
    let source = MemoryCheckpoint(Self.shapes, model: false)
    let plan = try planned("llama", from: "hf", to: "cs-2.9", config: Self.wide, source)
    let order = [0, 3, 1, 4, 2, 5]
    for (cs, hf, heads) in [("q", "q_proj", 4), ("k", "k_proj", 2)] {
      let rows = (0..<heads).flatMap { head in order.map { head * 6 + $0 } }
      let key = "model.layers.0.self_attn.\(hf)."
      let target = Self.layer + "self_attn.proj_\(cs)_dense_layer."
      let matrix = source.rows(key + "weight", columns: 16)
      #expect(try plan.floats(target + "weight", from: source) == rows.flatMap { matrix[$0] })
      #expect(try plan.floats(target + "bias", from: source) == rows.map { source[key + "bias"][$0] })
    }
    for (hf, cs) in [
      ("self_attn.v_proj", "self_attn.proj_v_dense_layer"), ("self_attn.o_proj", "self_attn.proj_output_dense_layer"),
      ("mlp.gate_proj", "ffn.ffn.0.linear_layer_for_glu"), ("mlp.up_proj", "ffn.ffn.0.linear_layer"),
      ("mlp.down_proj", "ffn.ffn.1.linear_layer"), ("input_layernorm", "norm1"),
      ("post_attention_layernorm", "norm3"),
    ] {
      let tensor = plan.tensor(Self.layer + cs + ".weight")
      #expect(tensor?.expression == .source("model.layers.0.\(hf).weight"), "\(hf)")
    }
    for key in ["transformer_decoder.norm.weight", "ln_f.weight"] {
      #expect(plan.tensor(key)?.expression == .source("model.norm.weight"))
    }
    #expect(plan.keys.count == Self.shapes.count + 1)
  }

  @Test func dropsFrequencies() throws {
    let shapes = Self.shapes + [("model.layers.0.self_attn.rotary_emb.inv_freq", [3])]
    let source = MemoryCheckpoint(shapes, model: false)
    let plan = try planned("llama", from: "hf", to: "cs-2.9", config: Self.wide, source)
    #expect(!plan.keys.contains { $0.contains("inv_freq") })
  }

  @Test func tiesTheHead() throws {
    let shapes = Self.shapes.filter { $0.key != "lm_head.weight" }
    let source = MemoryCheckpoint(shapes, model: false)
    let tied = Self.wide.merging(["tie_word_embeddings": true]) { _, new in new }
    let plan = try planned("llama", from: "hf", to: "cs-2.9", config: tied, source)
    #expect(plan.tensor("lm_head.weight")?.expression == .source("model.embed_tokens.weight"))
    let error = conversionError { try planned("llama", from: "hf", to: "cs-2.9", config: Self.wide, source) }
    #expect(error?.diagnostics.contains { $0.subject == .tensor("lm_head.weight") } == true)
  }

  @Test func drawsAHeadOnlyWhereNothingIsTied() throws {
    let shapes = Self.shapes.filter { $0.key != "lm_head.weight" }.map {
      ($0.key.replacing("model.", with: ""), $0.shape)
    }
    let source = MemoryCheckpoint(shapes, model: false)
    let drawn = try planned("llama-headless", from: "hf", to: "cs-2.9", config: Self.wide, source)
    #expect(drawn.tensor("lm_head.weight")?.shape == [5, 16])
    #expect(drawn.tensor("lm_head.weight")?.expression != .source("embed_tokens.weight"))
    let tied = Self.wide.merging(["tie_word_embeddings": true]) { _, new in new }
    let plan = try planned("llama-headless", from: "hf", to: "cs-2.9", config: tied, source)
    #expect(plan.tensor("lm_head.weight")?.expression == .source("embed_tokens.weight"))
  }

  /// Each of them names the tensor.
  @Test(
    arguments: [
      ("model.layers.0.self_attn.q_proj.weight", nil), ("model.layers.0.self_attn.k_proj.bias", nil),
      ("model.layers.0.self_attn.k_proj.weight", [24, 16]), ("model.layers.0.self_attn.o_proj.weight", [16, 16]),
      ("model.layers.0.mlp.down_proj.weight", [24, 16]), ("model.norm.weight", [6]),
    ] as [(String, [Int]?)])
  func findsIncompleteCheckpoints(_ key: String, shape: [Int]?) {
    var shapes = Self.shapes.filter { $0.key != key }
    if let shape { shapes.append((key, shape)) }
    let source = MemoryCheckpoint(shapes, model: false)
    let error = conversionError { try planned("llama", from: "hf", to: "cs-2.9", config: Self.wide, source) }
    #expect(error?.diagnostics.contains { $0.subject == .tensor(key) } == true)
  }

  @Test(arguments: [
    "llamaV2", "code-llama", "wizardlm", "llamaV2-headless", "code-llama-headless", "wizardlm-headless",
  ])
  func aliasesAreCalledLlamaInParams(_ alias: String) throws {
    let section = try ConfigConversion(model: alias, csBase: [:], release: "cs-2.9").cs(Self.config)
    #expect(section["name"] == "llama")
  }
}
