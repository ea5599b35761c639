import OrderedCollections

/// The configs of LLaVA.
extension LLaVA {
  /// A folder for each model; the config of the text model says how they are connected.
  @ConfigRulesBuilder static func foldersConfig(_ release: Release, _ names: ModelZooNames) -> [ConfigRule] {
    parts(release, image: "image_model", text: "text_model", names)
    projector(
      ["text_model.mm_projector_type"], names, image: "image_model", text: "text_model",
      read: { (config) throws(ConfigFailure) in
        (try layers(of: config.value(at: "text_model.mm_projector_type") ?? .null), "gelu", true)
      },
      write: { (projector) throws(ConfigFailure) in
        guard projector.activation == "gelu", projector.hasBias else {
          throw ConfigFailure(
            names.projector,
            "Can't convert config with \(names.projector): in this layout of HF the projector has gelu and biases.")
        }
        return ["text_model.mm_projector_type": .string("mlp\(projector.layers)x_gelu")]
      })
    Assume(.hf, "text_model.mm_projector_type", "mlp2x_gelu")
    selection(
      layer: "text_model.mm_vision_select_layer", of: "image_model", mode: "text_model.mm_vision_select_feature",
      ["patch": "patch", "cls_patch": "cls_patch"], names)
    Check(.hf) { (config) throws(ConfigFailure) in
      let (key, own) = ("text_model.mm_hidden_size", config.value(at: "image_model.hidden_size"))
      guard let width = config.value(at: key), width != .null, let own, !width.isEqualInPython(own) else { return }
      throw ConfigFailure(
        key,
        "Can't convert config with \(key)=\(width.pythonDescription): image_model.hidden_size is "
          + "\(own.pythonDescription), and the projector reads what the image model writes.")
    }
    Ignore(.hf, "text_model.mm_hidden_size")
    Fill(.hf, "text_model.mm_hidden_size") { (config) throws(ConfigFailure) in
      config.value(at: "image_model.hidden_size")
    }
    for key in ["mm_use_im_start_end", "mm_use_im_patch_token"] {
      Require(.hf, "text_model.\(key)", false)
      Fill(.hf, "text_model.\(key)", false)
    }
    frozenParts
    RefuseKey(
      .hf, "text_model.mm_patch_merge_type", unless: "flat", .null, reason: "the target has one row of patches")
    labels
  }

  /// One checkpoint, as transformers has it.
  @ConfigRulesBuilder static func packedConfig(_ release: Release, _ names: ModelZooNames) -> [ConfigRule] {
    parts(release, image: "vision_config", text: "text_config", names)
    projector(
      ["projector_hidden_act", "multimodal_projector_bias"], names, image: "vision_config", text: "text_config",
      read: { (config) throws(ConfigFailure) in
        let (activation, bias) = ("projector_hidden_act", "multimodal_projector_bias")
        return (
          2, try Activations.modelZoo(config[activation] ?? "gelu", key: activation, at: release),
          try ConfigType.flag.checked(config[bias] ?? true, key: bias).value.isTruthyInPython
        )
      },
      write: { (projector) throws(ConfigFailure) in
        guard projector.layers == 2 else {
          throw ConfigFailure(
            "\(names.projector).layers_units",
            "Can't convert config with \(projector.layers) layers in \(names.projector).layers_units: in this layout of "
              + "HF the projector has 2.")
        }
        return [
          "projector_hidden_act": try Activations.huggingFace(
            projector.activation, key: "\(names.projector).layers_activation", at: release),
          "multimodal_projector_bias": .bool(projector.hasBias),
        ]
      })
    selection(
      layer: "vision_feature_layer", of: "vision_config", mode: "vision_feature_select_strategy",
      ["default": "patch", "full": "cls_patch"], names)
    // The token that stands for an image, whose embedding nothing reads.
    Fill(.hf, "image_token_index", 32000)
    Caution(.cs, "\(names.text).vocab_size") { config in
      guard case .number(let words)? = config.value(at: "\(names.text).vocab_size"), words.double <= 32000 else {
        return nil
      }
      return
        "image_token_index is 32000, and the vocabulary ends before it: resize the embeddings in transformers, or set "
        + "image_token_index to the token that stands for an image."
    }
    Fill(.hf, "image_seq_length") { (config) throws(ConfigFailure) in
      let (image, patch) = (
        try config.dimension("vision_config.image_size"), try config.dimension("vision_config.patch_size")
      )
      let (patches, overflow) = (image / patch).multipliedReportingOverflow(by: image / patch)
      if overflow { throw ConfigFailure("vision_config.image_size", "The image has too many patches.") }
      return .int(patches + (config["vision_feature_select_strategy"] == "full" ? 1 : 0))
    }
    DescribesNothing(
      .hf,
      ["image_token_index", "image_token_id", "image_seq_length", "ignore_index", "tie_word_embeddings", "vocab_size"])
    Ignore(.cs, "freeze")
    Fill(.cs, "freeze", ["^image_model"])
    ConfigRule.huggingFaceBookkeeping
  }

  // MARK: Parts

  /// The two models, and what the Model Zoo has beside them in every layout.
  @ConfigRulesBuilder private static func parts(
    _ release: Release, image: String, text: String, _ names: ModelZooNames
  ) -> [ConfigRule] {
    Section(image, names.image) { tower(release) }
    Section(text, names.text) {
      Llama.config(release)
      named("LlamaModel", "llama")
      RefuseKey(.cs, "extra_ffn_params.static_dual_expert", unless: false, .null, reason: "the HF model has no experts")
    }
    Fill(.cs, "loss_scaling", "num_tokens")
    Fill(.cs, "loss_weight", 1.0)
    if release < Release(2, 4) {
      Fill(.cs, "label_smoothing", 0.0)
      Fill(.cs, "z_loss_eps", 0.0)
    }
    Ignore(.cs, "loss_scaling", "loss_weight", "label_smoothing", "z_loss_eps", "output_list")
    if names.image == "image_model" {
      Fill(.cs, "image_start_idx", 1)
      Ignore(.cs, "image_start_idx")
      RefuseKey(.cs, "projector.text_model", unless: .null, reason: "the HF model has no projector for texts")
    } else {
      oneEncoder(names)
    }
  }

  /// The image model, of which nothing is used but the tower. Releases from 2.4 on refuse keys of its projection.
  @ConfigRulesBuilder private static func tower(_ release: Release) -> [ConfigRule] {
    CLIPVision.towerConfig(release)
    named("ViTModel", "vit")
    if release < Release(2, 4) {
      Key(dimension: "projection_dim", "num_classes")
      Fill(.cs, "use_bias_in_output", false)
    } else {
      Key("projection_dim", "num_classes", .dimension, forward: { (_, _) throws(ConfigFailure) in nil })
    }
    Ignore(.cs, "use_bias_in_output")
    DescribesNothing(.hf, ["vocab_size", "dropout"])
  }

  /// The name of a component's class, which the release's own params files spell in the first way.
  @ConfigRulesBuilder private static func named(_ name: ConfigValue, _ other: ConfigValue) -> [ConfigRule] {
    Fill(.cs, "name", name)
    RefuseKey(.cs, "name", unless: name, other, reason: "the HF model has another part there")
  }

  /// The multimodal class can have several image models, each with a projector of its own.
  @ConfigRulesBuilder private static func oneEncoder(_ names: ModelZooNames) -> [ConfigRule] {
    let list = "image_model_list.image_models"
    Check(.cs) { (config) throws(ConfigFailure) in
      let isAlone = names.image.hasSuffix(".0")
      for (key, bound) in [(list, true), ("\(list).0.image_model", isAlone)] where bound {
        guard case .array(let models)? = config.value(at: key) else {
          throw ConfigFailure(key, "The config lacks the list '\(key)', which is needed.")
        }
        guard models.count == 1 else {
          throw ConfigFailure(
            key, "Can't convert config with \(models.count) models in \(key): the HF model has one image model.")
        }
      }
    }
    RefuseKey(.cs, "\(list).0.projection_layer", unless: .null, reason: "the HF model has one projector")
  }

  /// From 2.4 on an image model has one encoder, not a list of them.
  @ConfigRulesBuilder static var renamedEncoder: [ConfigRule] {
    let model = "image_model_list.image_models.0"
    Key("\(model).image_model.0", "\(model).image_encoder")
  }

  // MARK: What connects the parts

  /// A projector as all layouts can say it.
  private typealias Projector = (layers: Int, activation: ConfigValue, hasBias: Bool)

  private static let settings = ["name", "input_unit", "layers_units", "layers_activation", "use_bias"]

  /// A feed-forward network from the width of the image model to that of the text model.
  @ConfigRulesBuilder private static func projector(
    _ keys: [String], _ names: ModelZooNames, image: String, text: String,
    read: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> Projector,
    write: @escaping @Sendable (Projector) throws(ConfigFailure) -> ConfigObject
  ) -> [ConfigRule] {
    Keys(keys, settings.map { "\(names.projector).\($0)" }) { (config) throws(ConfigFailure) in
      let projector = try read(config)
      let width = try config.dimension("\(text).hidden_size")
      let values: ConfigObject = [
        "name": "FeedForwardNetwork", "input_unit": .int(try config.dimension("\(image).hidden_size")),
        "layers_units": .array(Array(repeating: .int(width), count: projector.layers)),
        "layers_activation": .array(
          Array(repeating: projector.activation, count: projector.layers - 1) + [.null]),
        "use_bias": .bool(projector.hasBias),
      ]
      return ConfigObject(uniqueKeysWithValues: values.map { ("\(names.projector).\($0.key)", $0.value) })
    } backward: { (config) throws(ConfigFailure) in
      try write(try described(by: config, names))
    }
  }

  /// The projector of a params file. Throws for one that no HF model has.
  private static func described(
    by config: ConfigObject, _ names: ModelZooNames
  ) throws(ConfigFailure) -> Projector {
    func refuse(_ key: String, _ why: String) -> ConfigFailure {
      let value = config.value(at: "\(names.projector).\(key)") ?? .null
      return ConfigFailure(
        "\(names.projector).\(key)",
        "Can't convert config with \(names.projector).\(key)=\(value.pythonDescription): \(why).")
    }
    guard case .object(let projector)? = config.value(at: names.projector) else {
      throw ConfigFailure(names.projector, "The config lacks '\(names.projector)', which is needed.")
    }
    guard projector["name"] == "FeedForwardNetwork" || projector["name"] == "MLP" else {
      throw refuse("name", "the projector of a HF model is a FeedForwardNetwork")
    }
    let widths = (config.value(at: "\(names.image).hidden_size"), config.value(at: "\(names.text).hidden_size"))
    guard let (image, text) = Self.both(widths), projector["input_unit"]?.isEqualInPython(image) ?? false else {
      throw refuse("input_unit", "it must be the width of the image model")
    }
    guard case .array(let units)? = projector["layers_units"], (1...mostLayers).contains(units.count),
      units.allSatisfy({ $0.isEqualInPython(text) })
    else {
      throw refuse("layers_units", "there must be 1 to \(mostLayers), each the width of the text model")
    }
    let activations: [ConfigValue]
    if case .array(let values)? = projector["layers_activation"] { activations = values } else { activations = [] }
    guard activations.count == units.count, activations.last == .null,
      activations.dropLast().allSatisfy({ $0 == activations[0] })
    else {
      throw refuse("layers_activation", "there must be the same one for each layer but the last, which has null")
    }
    let hasBias = projector["use_bias"]?.isTruthyInPython ?? false
    return (units.count, units.count == 1 ? "gelu" : activations[0], hasBias)
  }

  private static func both(_ values: (ConfigValue?, ConfigValue?)) -> (ConfigValue, ConfigValue)? {
    if let first = values.0, let second = values.1 { (first, second) } else { nil }
  }

  /// The number in `mlp2x_gelu`. Throws for projectors of other kinds.
  private static func layers(of type: ConfigValue) throws(ConfigFailure) -> Int {
    let key = "text_model.mm_projector_type"
    if case .string(let text) = type, text.hasPrefix("mlp"), text.hasSuffix("x_gelu"),
      let count = Int(text.dropFirst(3).dropLast(6)), (1...mostLayers).contains(count)
    {
      return count
    }
    throw ConfigFailure(
      key,
      "Can't convert config with \(key)=\(type.pythonDescription). Only mlp1x_gelu to mlp\(mostLayers)x_gelu are supported."
    )
  }

  /// Which states of the image model are used: the layer, counted from the last where it is negative, and whether the class
  /// token is one of them. Hugging Face counts the embeddings as layer 0.
  @ConfigRulesBuilder private static func selection(
    layer: String, of image: String, mode: String, _ modes: KeyValuePairs<ConfigValue, ConfigValue>,
    _ names: ModelZooNames
  ) -> [ConfigRule] {
    Key(mode, names.mode, values: modes)
    Assume(.hf, mode, modes[0].key)
    Assume(.cs, names.mode, "patch")
    Key(
      layer, names.layer, .integer,
      forward: { (value, config) throws(ConfigFailure) in
        let layers = try config.dimension("\(image).num_hidden_layers")
        guard case .number(let number) = value, let index = number.int, index != 0, (-layers...layers).contains(index)
        else {
          throw ConfigFailure(
            layer,
            "Can't convert config with \(layer)=\(value.pythonDescription): it must be a layer of the image model, from 1 to "
              + "\(layers), or counted from the last, from -1 to -\(layers). 0 means the embeddings.")
        }
        return .int(index < 0 ? index : index - 1)
      },
      backward: { (value, config) throws(ConfigFailure) in
        let layers = try config.dimension("\(names.image).num_hidden_layers")
        // The class takes it modulo the number of layers; null is its default.
        let index: Int
        if value == .null {
          index = -1
        } else if case .number(let number) = value, let given = number.int {
          index = given
        } else {
          throw ConfigFailure(names.layer, "'\(names.layer)' must be an integer, not \(value.pythonDescription).")
        }
        guard !(-layers..<layers).contains(index) else { return .int(index < 0 ? index : index + 1) }
        return .int((index % layers + layers) % layers + 1)
      })
    Assume(.hf, layer, -2)
    Assume(.cs, names.layer, -1)
  }

  /// What is not trained. In Hugging Face a flag says that nothing is but the projector.
  @ConfigRulesBuilder private static var frozenParts: [ConfigRule] {
    Key(
      "text_model.tune_mm_mlp_adapter", "freeze",
      forward: { (value, _) throws(ConfigFailure) in
        value.isTruthyInPython ? ["^image_model", "^text_model"] : ["^image_model"]
      },
      backward: { (value, _) throws(ConfigFailure) in
        guard case .array(let patterns) = value else { return false }
        return .bool(
          patterns.contains { pattern in
            if case .string(let text) = pattern { text.drop { $0 == "^" }.hasPrefix("text_model") } else { false }
          })
      })
    Assume(.hf, "text_model.tune_mm_mlp_adapter", false)
    Assume(.cs, "freeze", [])
  }

  /// What the authors' config of the text model says besides.
  @ConfigRulesBuilder private static var labels: [ConfigRule] {
    for (key, value) in [("bos_token_id", 1), ("eos_token_id", 2), ("pad_token_id", 0), ("use_cache", true)]
      as [(String, ConfigValue)]
    { Fill(.hf, "text_model.\(key)", value) }
    for (key, value) in [
      ("image_aspect_ratio", "pad"), ("freeze_mm_mlp_adapter", false), ("freeze_mm_vision_resampler", false),
      ("tune_mm_vision_resampler", false),
      ("unfreeze_mm_vision_tower", false), ("mm_vision_tower", "image_model"),
    ] as [(String, ConfigValue)] {
      Fill(.hf, "text_model.\(key)", value)
      Ignore(.hf, "text_model.\(key)")
    }
    DescribesNothing(
      .hf,
      [
        "image_grid_pinpoints", "mm_resampler_type", "mm_projector_lr", "mm_vision_tower_lr",
        "tokenizer_model_max_length",
        "tokenizer_padding_side", "use_mm_proj",
      ].map { "text_model.\($0)" })
  }

  // MARK: Other files and places

  /// A config of the whole of CLIP as image model: its tower is what counts.
  static let towerOfCLIP: @Sendable (ConfigObject) -> ConfigObject = { config in
    guard case .object(var tower)? = config.value(at: "image_model.vision_config") else { return config }
    if tower["model_type"] == nil { tower["model_type"] = "clip_vision_model" }
    var config = config
    config["image_model"] = .object(tower)
    return config
  }

  /// How images are made ready for the tower whose config stands under `key`.
  static func preprocessor(_ config: ConfigObject, _ key: String) -> ConfigObject {
    let size = config.value(at: "\(key).image_size") ?? .null
    return [
      "crop_size": ["height": size, "width": size], "do_center_crop": true, "do_normalize": true, "do_resize": true,
      "feature_extractor_type": "CLIPFeatureExtractor",
      "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
      "resample": 3, "size": size,
    ]
  }
}
