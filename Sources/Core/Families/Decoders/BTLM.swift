import OrderedCollections

/// BTLM and Jais: GPT-2 with ALiBi, gated feed-forward layers and muP. Hugging Face on the left, Model Zoo on the right.
///
/// Their Hugging Face models know muP, so its scales are carried and not folded. Facts: Model Zoo Release 2.10.0
/// (`btlm_hf_cs.py`, `jais_hf_cs.py` of its checkpoint converters) and `modeling_btlm.py`, `modeling_jais.py`, which come with
/// the models' weights.
extension Family {
  static let btlm = Family(
    "btlm",
    [
      Model(
        "btlm", csClass: "GPT2LMHeadModel (configured as BTLM)", ladder: .gpt2.from(Release(2, 0)),
        offered: .steps(from: Release(2, 0)),
        bridges: BTLM.bridges(.btlm, hfClass: "BTLMLMHeadModel") { release in
          DecoderParts.withHead(over: "wte.weight") { BTLM.decoder(release) }
        }),
      Model(
        "btlm-headless", zooName: "btlm", csClass: "GPT2LMHeadModel (configured as BTLM)",
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: BTLM.bridges(.btlm, hfClass: "BTLMModel") { release in
          BTLM.decoder(release)
          DecoderParts.addedHead()
        }),
      Model(
        "jais", csClass: "GPT2LMHeadModel (configured as Jais)", ladder: .gpt2.from(Release(2, 0)),
        offered: .steps(from: Release(2, 0)),
        bridges: BTLM.bridges(.jais, hfClass: "JAISLMHeadModel") { release in
          DecoderParts.withHead(over: "wte.weight") { BTLM.decoder(release) }
        }),
    ])
}

enum BTLM {
  /// What the models' configs do not share.
  struct Kind: Sendable {
    let modelType: String
    /// What the vendor's tool writes beside the model's own keys.
    let bookkeeping: ConfigObject
  }

  static func bridges(
    _ kind: Kind, hfClass: String, @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [
      Bridge(
        covers: Release(2, 1)...Release.current, hfClass: hfClass, modelTypes: [kind.modelType],
        folds: [.sidebandSparsity], muP: { _ in .refusedUnless(carried: Set(carried)) },
        outside: [learningRate], tensors: tensors, config: { config($0, kind) })
    ]
  }

  // MARK: Tensors

  private static let isGated = RuleCondition.equals(.cs, "nonlinearity", "swiglu")
  private static let isAlibi = RuleCondition.equals(.cs, "position_embedding_type", "alibi")

  /// The parts that the models with and without a head share.
  @RulesBuilder static func decoder(_ release: Release) -> [Rule] {
    When(!isAlibi) { GPT2.positions("wpe.weight", release) }
    When(isAlibi) { slopes }
    GPT2.body {
      GPT2.packedHeads
      GPT2.feedForward
      When(isGated) {
        Transpose("mlp.c_fc2.{leaf}", "ffn.ffn.0.linear_layer_for_glu.{leaf}", [.inner, .hidden])
      }
      Only(.hf, "attn.bias", "a buffer of older versions, made anew when the model is loaded")
      Only(.hf, "attn.masked_bias", "a buffer of older versions, made anew when the model is loaded")
    }
  }

  /// Hugging Face keeps an axis more than the Model Zoo's class. The vendor's tool copies it, so it is understood there too.
  private static var slopes: [Rule] {
    Custom(
      ["relative_pe.slopes"], ["embedding_layer.position_embed_helper.slopes"],
      CustomTransform(
        "slopes of ALiBi",
        forward: { (values, context) throws(RuleFailure) in
          let heads = try context.length(.heads)
          return [try reshaped(values.first ?? nil, [heads, 1])]
        },
        backward: { (values, context) throws(RuleFailure) in
          let heads = try context.length(.heads)
          return [try reshaped(values.first ?? nil, [heads, 1, 1])]
        })
    ).rules
  }

  private static func reshaped(_ value: StateDict.Value?, _ shape: [Int]) throws(RuleFailure) -> StateDict.Value? {
    guard let tensor = value?.tensor else { return value }
    do throws(SymbolicTensor.ShapeError) { return .tensor(try tensor.reshaped(shape)) } catch {
      throw RuleFailure(error.message)
    }
  }

  // MARK: Config

  private static let carried = ["scale_qk_dot_by_d", "embeddings_scale", "output_logits_scale"]

  /// How much slower the layers learn than those of the base model; part of the optimizer in params files.
  private static let learningRate = OutsideKey(
    "decoder_kernel", at: "optimizer.adjust_learning_rate.decoder_kernel",
    alsoIn: { document in
      // The trainer layout names the optimizer in between.
      guard case .object(let optimizers)? = document[at: "trainer.init.optimizer"] else { return nil }
      return optimizers.values.lazy.compactMap { optimizer in
        if case .object(let section) = optimizer { section[at: "adjust_learning_rate.decoder_kernel"] } else { nil }
      }.first
    })

  @Sendable @ConfigRulesBuilder static func config(_ release: Release, _ kind: Kind) -> [ConfigRule] {
    GPT2.config(release).except(
      "position_embedding_type", "nonlinearity", "scale_attn_by_inverse_layer_idx", "scale_qk_dot_by_layer_idx")
    Key("position_embedding_type", "position_embedding_type", values: positions)
    Key(flag: "scale_attn_by_inverse_layer_idx", "scale_qk_dot_by_layer_idx")
    Key(
      "activation_function", "nonlinearity",
      forward: { (value, _) throws(ConfigFailure) in
        value == "swiglu" ? value : try Activations.modelZoo(value, key: "activation_function", at: release)
      },
      backward: { (value, _) throws(ConfigFailure) in
        value == "swiglu" ? value : try Activations.huggingFace(value, key: "nonlinearity", at: release)
      })
    // muP
    Key(flag: "mup_scale_qk_dot_by_d", "scale_qk_dot_by_d")
    Key(number: "mup_embeddings_scale", "embeddings_scale")
    outputScale
    alibiScaling
    for (key, value) in kind.bookkeeping { Fill(.hf, key, value) }
  }

  private static let positions: KeyValuePairs<ConfigValue, ConfigValue> = ["alibi": "alibi", "learned": "learned"]

  /// The scale of the logits is one number in the Model Zoo, and a factor times the width of the base model over that of the
  /// model in Hugging Face.
  @ConfigRulesBuilder private static var outputScale: [ConfigRule] {
    Assume(.hf, "mup_width_scale", 1.0)
    Caution(.cs, "optimizer.adjust_learning_rate.decoder_kernel") { config in
      config["decoder_kernel"] == nil && config["output_logits_scale"] != nil
        ? "The params file has no optimizer.adjust_learning_rate.decoder_kernel, so mup_width_scale is taken to be 1."
        : nil
    }
    Keys(["mup_output_alpha", "mup_width_scale"], ["output_logits_scale", "decoder_kernel"]) {
      (config) throws(ConfigFailure) in
      let width = try MuP.number("mup_width_scale", config) ?? 1
      var written: ConfigObject = ["decoder_kernel": config["mup_width_scale"] ?? 1.0]
      if let alpha = try MuP.number("mup_output_alpha", config) {
        written["output_logits_scale"] = .double(alpha * width)
      }
      return written
    } backward: { (config) throws(ConfigFailure) in
      guard let scale = try MuP.number("output_logits_scale", config) else { return [:] }
      let width = try MuP.number("decoder_kernel", config) ?? 1
      guard width > 0 else {
        throw ConfigFailure("decoder_kernel", "'decoder_kernel' is \(width); it must be positive.")
      }
      return ["mup_output_alpha": .double(scale / width), "mup_width_scale": config["decoder_kernel"] ?? 1.0]
    }
  }

  /// Slopes of ALiBi divided by a fixed factor.
  @ConfigRulesBuilder private static var alibiScaling: [ConfigRule] {
    Keys(["alibi_scaling"], ["pos_scaling_factor", "pos_scaling_type"]) { (config) throws(ConfigFailure) in
      guard case .object(let scaling)? = config["alibi_scaling"] else { return ["pos_scaling_factor": 1.0] }
      if let length = scaling["train_seq_len"], length != .null {
        throw .unsupported("alibi_scaling.train_seq_len", length, supported: [.null])
      }
      if let kind = scaling["type"], kind != "linear" {
        throw .unsupported("alibi_scaling.type", kind, supported: ["linear"])
      }
      guard let factor = try MuP.number("factor", scaling), factor > 0 else {
        throw ConfigFailure("alibi_scaling.factor", "'alibi_scaling' has no positive 'factor'.")
      }
      return ["pos_scaling_factor": scaling["factor"] ?? .double(factor)]
    } backward: { (config) throws(ConfigFailure) in
      let kind = config["pos_scaling_type"] ?? .null
      guard kind == .null || kind == "linear" else {
        throw .unsupported("pos_scaling_type", kind, supported: ["linear"])
      }
      guard let factor = try MuP.number("pos_scaling_factor", config), factor != 1 else {
        return ["alibi_scaling": .null]
      }
      return ["alibi_scaling": ["type": "linear", "factor": config["pos_scaling_factor"] ?? .double(factor)]]
    }
  }
}

extension BTLM.Kind {
  static let btlm = BTLM.Kind(
    modelType: "btlm",
    bookkeeping: [
      "use_cache": true, "auto_map": autoMap("cerebras/btlm-3b-8k-base--", "btlm", "BTLM", ["LMHeadModel"]),
    ])

  static let jais = BTLM.Kind(
    modelType: "jais",
    bookkeeping: [
      "_name_or_path": "inceptionai/jais-30b-v3", "use_cache": true,
      "auto_map": autoMap(
        "inceptionai/jais-30b-v3--", "jais", "JAIS",
        ["LMHeadModel", "ForQuestionAnswering", "ForSequenceClassification", "ForTokenClassification"]),
    ])

  /// Where transformers finds the classes of a model that it does not contain.
  private static func autoMap(_ place: String, _ name: String, _ prefix: String, _ classes: [String]) -> ConfigValue {
    var map: ConfigObject = [
      "AutoConfig": .string("\(place)configuration_\(name).\(prefix)Config"),
      "AutoModel": .string("\(place)modeling_\(name).\(prefix)Model"),
    ]
    for suffix in classes {
      let key = suffix == "LMHeadModel" ? "AutoModelForCausalLM" : "AutoModel\(suffix)"
      map[key] = .string("\(place)modeling_\(name).\(prefix)\(suffix)")
    }
    return .object(map)
  }
}
