import OrderedCollections

/// Falcon. Hugging Face on the left, Model Zoo on the right.
///
/// Its models were published with three code bases, which name things differently: `RefinedWebModel` (7B), `RefinedWeb` (40B)
/// and the `falcon` of transformers. All are read; `falcon` is written. The Model Zoo runs it as `GPTJModel`. Facts: Model Zoo
/// Release 2.10.0 (`falcon.py` and `falcon_*b.py` of its checkpoint converters) and transformers' `modeling_falcon.py`.
extension Family {
  static let falcon = Family(
    "falcon",
    [
      Model(
        "falcon", csClass: "GPTJModel (configured as Falcon)", ladder: .gptj.from(Release(2, 0)),
        offered: .steps(from: Release(2, 0)),
        bridges: Falcon.bridges(hfClass: "FalconForCausalLM") {
          DecoderParts.withHead(over: "word_embeddings.weight") { Falcon.body }
        }),
      Model(
        "falcon-headless", zooName: "falcon", csClass: "GPTJModel (configured as Falcon)",
        caveat: DecoderParts.headlessCaveat, ladder: .gptj.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: Falcon.bridges(hfClass: "FalconModel") {
          Falcon.body
          DecoderParts.addedHead()
        }),
    ])
}

enum Falcon {
  static func bridges(hfClass: String, @RulesBuilder tensors: () -> [Rule]) -> [Bridge] {
    let tensors = tensors()
    return [
      Bridge(
        covers: Release(2, 1)...Release.current, hfClass: hfClass,
        modelTypes: ["falcon", "RefinedWebModel", "RefinedWeb"], folds: [.sidebandSparsity], tensors: { _ in tensors },
        config: { _ in config })
    ]
  }

  // MARK: Tensors

  private static let head: Dimension = .hidden / .heads
  private static let groups = Dimension.cs("extra_attention_params.num_kv_groups")
  private static let biases = DeclaredShape.Presence.when(.flag(.cs, "use_ffn_bias"))
  private static let twoNorms = RuleCondition.flag(.cs, "use_untied_layer_norm")

  /// Everything but the head.
  @RulesBuilder static var body: [Rule] {
    Rename("word_embeddings.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    DecoderParts.finalNorm("ln_f.{leaf}", bias: .always)
    DecoderParts.sharedEmbeddings()
    Only(.cs, "embedding_layer.position_embed_helper.slopes", "the HF model is rotary")
    Scope("h.{layer}", "transformer_decoder.layers.{layer}", count: .layers) {
      // One norm before both attention and feed-forward layers, or one for each.
      When(!twoNorms) { Rename("input_layernorm.{leaf}", "norm1.{leaf}", [.hidden]) }
      When(twoNorms) {
        Rename("ln_attn.{leaf}", "norm1.{leaf}", [.hidden])
        Rename("ln_mlp.{leaf}", "norm3.{leaf}", [.hidden])
      }
      // Each group has its heads of q, then one of k and one of v. One group is multi-query, as many as heads multi-head.
      Split(
        "self_attention.query_key_value.{leaf}", into: DecoderParts.heads,
        Packing(
          rows: [.dimension(groups), .parts, .rest], shares: [.heads / groups, 1, 1],
          rotary: [
            RotaryPairs(parts: [0], heads: .heads, rotary: head), RotaryPairs(parts: [1], heads: groups, rotary: head),
          ]),
        [.hidden, .hidden], [groups * head, .hidden], [groups * head, .hidden], bias: biases)
      Rename(
        "self_attention.dense.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden], bias: biases)
      Rename("mlp.dense_h_to_4h.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden], bias: biases)
      Rename("mlp.dense_4h_to_h.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner], bias: biases)
      Only(.hf, "self_attention.rotary_emb.inv_freq", "a buffer of older versions, made anew when the model is loaded")
    }
  }

  // MARK: Config

  @Sendable private static func isRefinedWeb(_ hf: ConfigObject) -> Bool {
    hf["model_type"] == "RefinedWebModel" || hf["model_type"] == "RefinedWeb"
  }

  @ConfigRulesBuilder static var config: [ConfigRule] {
    // What a left-out key means
    When(left: { !isRefinedWeb($0) }, right: { _ in true }) {
      Assume(.hf, defaults)
      // Names of both code bases.
      Key(dimension: "num_attention_heads", "num_heads")
      Key(dimension: "num_hidden_layers")
      Key(number: "rope_theta")
      RopeScaling.scaling(kinds: [.linear, .yarn, .longrope])
      Fill(.cs, "use_bias_in_output", false)
    }
    When(left: isRefinedWeb, right: { _ in false }) {
      Key(dimension: "n_head", "num_heads")
      Key(dimension: "n_layer", "num_hidden_layers")
      Check(.hf, checkCodeBase)
    }
    Assume(.hf, "tie_word_embeddings", true)
    Assume(
      .cs,
      [
        "share_embedding_weights": true, "rope_theta": 10000.0, "embedding_dropout_rate": 0.1,
        "max_position_embeddings": 1024, "position_embedding_type": "rotary", "use_untied_layer_norm": false,
        "attention_module": "aiayn_attention", "extra_attention_params.num_kv_groups": 1,
      ])
    // Embedding
    Key(dimension: "vocab_size")
    Key(dimension: "max_position_embeddings")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Key("alibi", "position_embedding_type", values: [false: "rotary"])
    Fill(.cs, "position_embedding_type", "rotary")
    Fill(.hf, "alibi", false)
    Implied(.cs, "embedding_dropout_rate", 0.0)
    // Decoder
    Key(dimension: "hidden_size")
    innerWidth
    Key(number: "attention_dropout", "attention_dropout_rate")
    Key(number: "hidden_dropout", "residual_dropout_rate")
    Key(number: "layer_norm_epsilon")
    Key(number: "initializer_range")
    headsAndNorms
    biasFlags
    rotary
    RefuseKey(.hf, "activation", unless: "gelu", reason: "the Model Zoo's Falcon is always gelu")
    Implied(.cs, "nonlinearity", "gelu")
    Implied(.cs, "attention_module", "multiquery_attention")
    Implied(.cs, "attention_type", "scaled_dot_product")
    Require(.cs, "use_bias_in_output", false)
    Require(.cs, "norm_type", "layernorm")
    RefuseKey(
      .hf, "apply_residual_connection_post_layernorm", unless: false, .null,
      reason: "the Model Zoo adds what was there before the norm")
    Fill(.cs, "max_position_embeddings", 2048)
    Fill(.cs, "loss_scaling", "num_tokens")
    Ignore(.cs, "loss_scaling")
    DecoderConfig.refusedVariations()
    ConfigRule.huggingFaceBookkeeping
  }

  /// What `falcon` configs leave out.
  private static let defaults: KeyValuePairs<String, ConfigValue> = [
    "vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
    "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "hidden_dropout": 0.0, "attention_dropout": 0.0,
    "new_decoder_architecture": false, "multi_query": true, "parallel_attn": true, "bias": false,
    "max_position_embeddings": 2048, "rope_theta": 10000.0,
  ]

  /// The 40B code base has groups of heads, the 7B code base one group.
  @Sendable private static func checkCodeBase(_ config: ConfigObject) throws(ConfigFailure) {
    let expected: ConfigValue = config["n_head_kv"] == nil ? "RefinedWebModel" : "RefinedWeb"
    let kind = config["model_type"] ?? .null
    guard kind == expected else { throw .unsupported("model_type", kind, supported: [expected]) }
  }

  /// Hugging Face leaves a feed-forward layer that is four times as wide as the model unsaid.
  @ConfigRulesBuilder private static var innerWidth: [ConfigRule] {
    Keys(["ffn_hidden_size"], ["filter_size"]) { (config) throws(ConfigFailure) in
      if let width = config["ffn_hidden_size"], width != .null { return ["filter_size": width] }
      return ["filter_size": .int(try fourfold(config))]
    } backward: { (config) throws(ConfigFailure) in
      let width = try config.requiredInt("filter_size")
      return width == (try fourfold(config)) ? [:] : ["ffn_hidden_size": .int(width)]
    }
  }

  private static func fourfold(_ config: ConfigObject) throws(ConfigFailure) -> Int {
    let hidden = try config.requiredInt("hidden_size")
    let (width, overflow) = hidden.multipliedReportingOverflow(by: 4)
    guard hidden > 0, !overflow else { throw ConfigFailure("hidden_size", "'hidden_size' is no width of a model.") }
    return width
  }

  /// How many groups of keys and values there are, and whether a layer has one norm or two.
  @ConfigRulesBuilder private static var headsAndNorms: [ConfigRule] {
    Keys(
      [
        "new_decoder_architecture", "multi_query", "num_kv_heads", "n_head_kv", "num_ln_in_parallel_attn",
        "parallel_attn",
      ],
      ["extra_attention_params.num_kv_groups", "use_untied_layer_norm"]
    ) { (config) throws(ConfigFailure) in
      guard config["parallel_attn"]?.isTruthyInPython ?? true else {
        throw .unsupported("parallel_attn", false, supported: [true])
      }
      if isRefinedWeb(config) {
        let groups = config["n_head_kv"] ?? 1
        guard config["n_head_kv"] != nil || config["multi_query"]?.isTruthyInPython ?? true else {
          throw .unsupported("multi_query", false, supported: [true])
        }
        return [
          "extra_attention_params.num_kv_groups": groups, "use_untied_layer_norm": .bool(config["n_head_kv"] != nil),
        ]
      }
      let heads = try config.required("num_attention_heads")
      guard config["new_decoder_architecture"]?.isTruthyInPython ?? false else {
        let shares = config["multi_query"]?.isTruthyInPython ?? true
        return ["extra_attention_params.num_kv_groups": shares ? 1 : heads, "use_untied_layer_norm": false]
      }
      let groups = config.stated("num_kv_heads") ?? heads
      let norms = config.stated("num_ln_in_parallel_attn") ?? 2
      guard norms == 1 || norms == 2 else {
        throw .unsupported("num_ln_in_parallel_attn", norms, supported: [1, 2, .null])
      }
      return ["extra_attention_params.num_kv_groups": groups, "use_untied_layer_norm": .bool(norms == 2)]
    } backward: { (config) throws(ConfigFailure) in
      let groups = try ConfigType.dimension.checked(
        config.value(at: "extra_attention_params.num_kv_groups") ?? 1, key: "extra_attention_params.num_kv_groups"
      ).value
      let hasTwoNorms = config["use_untied_layer_norm"]?.isTruthyInPython ?? false
      let isOld = !hasTwoNorms && (groups == 1 || groups == config["num_heads"])
      return [
        "num_kv_heads": groups, "multi_query": .bool(groups == 1), "parallel_attn": true,
        "new_decoder_architecture": .bool(!isOld),
        "num_ln_in_parallel_attn": isOld ? .null : hasTwoNorms ? 2 : 1,
      ]
    }
  }

  private static let flags = ["use_projection_bias_in_attention", "use_ffn_bias_in_attention", "use_ffn_bias"]

  /// One flag for all biases, or one for each kind.
  ///
  /// Without its flags the Model Zoo's class has biases in its attention, so they are written for every code base.
  @ConfigRulesBuilder private static var biasFlags: [ConfigRule] {
    When(left: isRefinedWeb, right: { _ in true }) {
      RefuseKey(.hf, "bias", unless: false, .null, reason: "the code base of RefinedWeb models has no biases")
    }
    Keys(["bias"], flags) { (config) throws(ConfigFailure) in
      let bias = ConfigValue.bool(config["bias"]?.isTruthyInPython ?? false)
      return ConfigObject(uniqueKeysWithValues: flags.map { ($0, bias) })
    } backward: { (config) throws(ConfigFailure) in
      let present = flags.filter { config[$0] != nil }
      let values = Set(present.map { config[$0]?.isTruthyInPython ?? false })
      guard values.count < 2, values != [true] || present.count == flags.count else {
        throw ConfigFailure(
          present.first ?? flags[0],
          "A HF Falcon has all biases or none, so \(flags.joined(separator: ", ")) must be the same.")
      }
      // The vendor's tool writes the flags, which transformers does not read.
      var written = config.filter { flags.contains($0.key) }
      if values == [true] { written["bias"] = true }
      return written
    }
    for flag in flags { Ignore(.hf, flag) }
  }

  /// Rotary embeddings cover whole heads.
  @ConfigRulesBuilder private static var rotary: [ConfigRule] {
    Check(.cs) { (config) throws(ConfigFailure) in
      guard let rows = config["rotary_dim"], rows != .null else { return }
      let size = try headSize(config)
      guard rows.isEqualInPython(.int(size)) else { throw .unsupported("rotary_dim", rows, supported: [.int(size)]) }
    }
    Ignore(.cs, "rotary_dim")
    Fill(.cs, "rotary_dim") { (config) throws(ConfigFailure) in .int(try headSize(config)) }
  }

  private static func headSize(_ config: ConfigObject) throws(ConfigFailure) -> Int {
    let (width, heads) = (try config.requiredInt("hidden_size"), try config.requiredInt("num_heads"))
    guard heads > 0, width >= heads else {
      throw ConfigFailure("num_heads", "A hidden_size of \(width) cannot be divided among \(heads) heads.")
    }
    return width / heads
  }
}
