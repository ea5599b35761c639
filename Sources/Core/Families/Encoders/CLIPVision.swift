import OrderedCollections

/// The vision tower of CLIP with its projection. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`clip_vit.py` and `vit.py` of the checkpoint converters, `ViTModel.py`) and
/// transformers' `modeling_clip.py`.
extension Family {
  static let clipVision = Family(
    "clip-vit",
    [
      Model(
        "clip-vit", zooName: "vision_transformer", csClass: "ViTClassificationModel",
        ladder: Ladder(from: Release(2, 1), []), offered: .steps(from: Release(2, 1)),
        bridges: [
          Bridge(
            covers: Release(2, 1)...Release.current, hfClass: "CLIPVisionModelWithProjection",
            modelTypes: ["clip_vision_model"], folds: [.sidebandSparsity],
            tensors: { _ in CLIPVision.tensors }, config: { CLIPVision.towerConfig($0) + CLIPVision.projectionConfig })
        ])
    ])
}

enum CLIPVision {
  // MARK: Tensors

  @RulesBuilder static var tensors: [Rule] {
    Scope("vision_model", "vit_model") { tower }
    Rename(
      "visual_projection.weight", "classifier.classifier.ffn.0.linear_layer.weight", [.cs("num_classes"), .hidden])
  }

  /// The tower without what stands on top of it.
  @RulesBuilder static var tower: [Rule] {
    Scope("embeddings", "embedding_layer") {
      Rename("class_embedding", "cls_embedding", [.hidden])
      // The position of the class token is the first in Hugging Face and the last in the Model Zoo.
      Roll("position_embedding.weight", "position_embeddings.weight", by: -1, [positions, .hidden])
      Rename(
        "patch_embedding.weight", "linear_proj.weight",
        [.hidden, .cs("num_channels", or: 3), .hf("patch_size"), .hf("patch_size")])
      Only(.hf, "position_ids", "it counts the positions")
    }
    Rename("pre_layrnorm.{leaf}", "embedding_layer.post_embed_ln.{leaf}", [.hidden])
    Scope("encoder.layers.{layer}", "encoder.transformer_encoder.layers.{layer}", count: .layers) {
      for (hf, cs) in [("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("out_proj", "output")] {
        Rename(
          KeyPattern("self_attn.\(hf).{leaf}"), KeyPattern("self_attn.proj_\(cs)_dense_layer.{leaf}"),
          [.hidden, .hidden])
      }
      Rename("mlp.fc1.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("mlp.fc2.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
      Rename("layer_norm1.{leaf}", "norm1.{leaf}", [.hidden])
      Rename("layer_norm2.{leaf}", "norm2.{leaf}", [.hidden])
    }
    Rename("post_layernorm.{leaf}", "encoder.transformer_encoder.norm.{leaf}", [.hidden])
  }

  /// One for each patch and one for the class token.
  private static let positions = Dimension.derived("image_size, patch_size") { (context) throws(RuleFailure) in
    let (image, patch) = (try context.length(.hf("image_size")), try context.length(.hf("patch_size")))
    let (count, overflow) = (image / patch).multipliedReportingOverflow(by: image / patch)
    guard !overflow, count < ConfigRule.largestDimension else { throw RuleFailure("the image has too many patches") }
    return count + 1
  }

  // MARK: Config

  /// What describes the tower.
  @ConfigRulesBuilder static func towerConfig(_ release: Release) -> [ConfigRule] {
    square("image_size")
    square("patch_size")
    Key(dimension: "num_channels")
    Key(dimension: "hidden_size")
    Key(dimension: "num_hidden_layers")
    Key(dimension: "num_attention_heads", "num_heads")
    Key(dimension: "intermediate_size", "filter_size")
    Key(
      "hidden_act", "nonlinearity",
      forward: { (value, _) throws(ConfigFailure) in
        try Activations.modelZoo(value, key: "hidden_act", at: release)
      },
      backward: { (value, _) throws(ConfigFailure) in
        let name = try Activations.huggingFace(value, key: "nonlinearity", at: release)
        // The name that configs of vision models have for it.
        return name == "gelu_new" ? "gelu_pytorch_tanh" : name
      })
    Key(number: "layer_norm_eps", "layer_norm_epsilon")
    Key(number: "attention_dropout", "attention_dropout_rate")
    Key(number: "initializer_range")
    DescribesNothing(.hf, ["initializer_factor"])
    for key in [
      "use_post_embed_layer_norm", "use_conv_patchified_embedding", "use_projection_bias_in_attention",
      "use_ffn_bias_in_attention", "use_ffn_bias",
    ] {
      Require(.cs, key, true)
      Fill(.cs, key, true)
    }
    for key in ["prepend_cls_token", "norm_first"] {
      RefuseKey(.cs, key, unless: true, reason: "the HF model is built in this way")
      Fill(.cs, key, true)
    }
    Implied(.cs, "use_embed_proj_bias", false)
    RefuseKey(.cs, "use_encoder_pooler_layer", unless: false, reason: "the HF model has no pooler")
    Fill(.cs, "use_encoder_pooler_layer", false)
    Implied(.cs, "attention_type", "scaled_dot_product")
    Implied(.cs, "position_embedding_type", "learned")
    Fill(.cs, "dropout_rate", 0.0)
    Ignore(.cs, "dropout_rate", "attention_softmax_fp32")
    // What a left-out key means
    Assume(
      .hf,
      [
        "image_size": 224, "patch_size": 32, "num_channels": 3, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
        "attention_dropout": 0.0, "initializer_range": 0.02,
      ])
    ConfigRule.huggingFaceBookkeeping
  }

  /// The projection, which the Model Zoo calls a classifier.
  @ConfigRulesBuilder static var projectionConfig: [ConfigRule] {
    Key(dimension: "projection_dim", "num_classes")
    Implied(.cs, "use_bias_in_output", false)
    Assume(.hf, "projection_dim", 512)
    Assume(.cs, "num_classes", 512)
  }

  /// A length in Hugging Face, width and height in the Model Zoo.
  @ConfigRulesBuilder static func square(_ key: String, file: String = #fileID, line: Int = #line) -> [ConfigRule] {
    Key(
      key, key,
      forward: { (value, _) throws(ConfigFailure) in
        let length = try ConfigType.dimension.checked(value, key: key).value
        return .array([length, length])
      },
      backward: { (value, _) throws(ConfigFailure) in
        guard case .array(let sides) = value, sides.count == 2, sides[0].isEqualInPython(sides[1]) else {
          throw ConfigFailure(
            key,
            "Can't convert config with \(key)=\(value.pythonDescription): it must be width and height, which are equal "
              + "in a HF model.")
        }
        return try ConfigType.dimension.checked(sides[0], key: key).value
      }, file: file, line: line)
  }
}
