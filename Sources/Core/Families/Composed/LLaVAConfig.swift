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
      Implied(.hf, "text_model.\(key)", false)
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
