import OrderedCollections

/// LLaVA: an image model, a projector and a text model. Hugging Face on the left, Model Zoo on the right.
///
/// Hugging Face has two layouts. The authors of LLaVA keep a folder for each model, and the projector with the text model;
/// transformers keeps one checkpoint. The Model Zoo has two classes, which keep the same parts under other names.
///
/// Facts: Model Zoo Release 2.10.0 (`llava.py` and `mm_simple.py` of its checkpoint converters, `modeling_llava.py`,
/// `modeling_mmsimple.py`), the configs of LLaVA 1.5, and transformers' `modeling_llava.py`.
extension Family {
  static let llava = Family(
    "llava",
    [
      LLaVA.model("llava", csClass: "LlavaModel", from: Release(2, 2), ladder: Ladder(from: Release(2, 2), [])) { _ in
        .llava
      },
      LLaVA.model(
        "mmsimple-llava", zooName: "multimodal_simple", csClass: "MMSimpleModel", from: Release(2, 3),
        ladder: Ladder(
          from: Release(2, 3), [Revision(Release(2, 4), config: LLaVA.renamedEncoder)])
      ) { $0 < Release(2, 4) ? .firstMultimodal : .multimodal },
    ])
}

enum LLaVA {
  static func model(
    _ name: String, zooName: String? = nil, csClass: String, from oldest: Release, ladder: Ladder,
    names: @escaping @Sendable (Release) -> ModelZooNames
  ) -> Model {
    // The paths of the sections that every rule of a component is about depend on the release.
    let ranges = Dictionary(grouping: ladder.releases) { names($0).image }.values.compactMap { releases in
      releases.min().flatMap { first in releases.max().map { first...$0 } }
    }.sorted { $0.lowerBound < $1.lowerBound }
    return Model(
      name, zooName: zooName, csClass: csClass,
      caveat: "In HF the model is a folder for each of \(folders), or one checkpoint of \(packedClass).",
      ladder: ladder, offered: .steps(from: oldest),
      bridges: ranges.map { releases in
        let names = names(releases.lowerBound)
        return Bridge(
          covers: releases,
          folders: [
            Component(
              "image_model", section: names.image, hfClass: "CLIPVisionModel", modelTypes: ["clip_vision_model"]),
            Component(
              "text_model", section: names.text, hfClass: "LlavaLlamaForCausalLM",
              modelTypes: ["llava", "llava_llama", "llama"]),
          ],
          documents: [
            DerivedDocument("preprocessor_config.json", of: "image_model") { preprocessor($0, "image_model") }
          ],
          folds: [.sidebandSparsity], muP: ["text_model": names.textMuP], reading: towerOfCLIP,
          tensors: { _ in tensors(.folders, names) },
          config: { foldersConfig($0, names) })
      },
      packedBridges: ranges.map { releases in
        let names = names(releases.lowerBound)
        return Bridge(
          covers: releases, hfClass: packedClass, modelTypes: ["llava"],
          components: [
            Component(
              "vision_config", section: names.image, hfClass: "CLIPVisionModel", modelTypes: ["clip_vision_model"]),
            Component("text_config", section: names.text, hfClass: "LlamaForCausalLM", modelTypes: ["llama"]),
          ],
          documents: [DerivedDocument("preprocessor_config.json", of: "") { preprocessor($0, "vision_config") }],
          folds: [.sidebandSparsity], componentMuP: ["text_config": names.textMuP],
          tensors: { _ in tensors(.oneCheckpoint, names) },
          config: { packedConfig($0, names) })
      })
  }

  private static let folders = "`image_model` and `text_model`"
  private static let packedClass = "LlavaForConditionalGeneration"

  /// What a class of the Model Zoo calls the parts: the paths of their configs, and the prefixes of their keys.
  struct ModelZooNames: Sendable {
    let image: String
    let text = "text_model"
    let projector: String
    let layer: String
    let mode: String
    let imageKeys: KeyPattern
    let projectorKeys: KeyPattern

    /// The text model may be a muP model, as any Llama. Its class scales the embeddings of words, not those of images.
    var textMuP: Fold { Fold.decoderMuP().inside(text).under(KeyPattern(text)) }

    static let llava = ModelZooNames(
      image: "image_model", projector: "projector.image_model", layer: "image_feature_select_layer_idx",
      mode: "image_feature_select_mode", imageKeys: "image_model", projectorKeys: "projector_image_model")
    static let multimodal = multimodal(encoder: "image_model_list.image_models.0.image_encoder")
    /// Release 2.3 allowed for several encoders in a row.
    static let firstMultimodal = multimodal(encoder: "image_model_list.image_models.0.image_model.0")

    private static func multimodal(encoder: String) -> ModelZooNames {
      ModelZooNames(
        image: encoder, projector: "image_model_list.global_image_projection", layer: "\(encoder).image_layer_idx",
        mode: "image_model_list.image_feature_select_mode", imageKeys: "image_model.image_model_list.0.0",
        projectorKeys: "image_model.projection")
    }
  }

  // MARK: Tensors

  @RulesBuilder static func tensors(_ layout: HuggingFaceLayout, _ names: ModelZooNames) -> [Rule] {
    let isPacked = layout == .oneCheckpoint
    let image = ConfigSections(isPacked ? "vision_config" : "image_model", names.image)
    let text = ConfigSections(isPacked ? "text_config" : "text_model", names.text)
    let (tower, language) = isPacked ? ("vision_tower", "language_model") : ("image_model", "text_model")
    Scope(KeyPattern("\(tower).vision_model"), names.imageKeys, sections: image) { CLIPVision.tower }
    Scope(KeyPattern(language), KeyPattern(names.text), sections: text) { Llama.causal { Llama.body } }
    projector(layout, names)
    if isPacked {
      packedSpellings
    } else {
      unreadParts
    }
  }

  /// Linear layers with an activation between each two, which Hugging Face counts as a layer.
  @RulesBuilder private static func projector(_ layout: HuggingFaceLayout, _ names: ModelZooNames) -> [Rule] {
    projectorLayer(0, layout, names)
    for layer in 1..<(layout == .folders ? mostLayers : 2) {
      When(hasProjectorLayer(layer, names)) { projectorLayer(layer, layout, names) }
    }
  }

  @RulesBuilder private static func projectorLayer(
    _ layer: Int, _ layout: HuggingFaceLayout, _ names: ModelZooNames
  ) -> [Rule] {
    let units = Dimension.cs("\(names.text).hidden_size")
    let input = layer == 0 ? Dimension.cs("\(names.image).hidden_size") : units
    let own = "\(names.projectorKeys).ffn.\(layer).linear_layer"
    switch layout {
    case .folders:
      Rename(
        KeyPattern("text_model.model.mm_projector.\(2 * layer).{leaf}"), KeyPattern("\(own).{leaf}"), [units, input],
        presence: .allOrNone(on: .hf, group: "projector"))
      for (leaf, shape) in [("weight", [units, input]), ("bias", [units])] {
        Drawn(.cs, "\(own).\(leaf)", shape: shape, .uniform(fanIn: input), isFallback: true)
      }
    case .oneCheckpoint:
      Rename(
        KeyPattern("multi_modal_projector.linear_\(layer + 1).{leaf}"), KeyPattern("\(own).{leaf}"), [units, input],
        bias: .when(.flag(.cs, "\(names.projector).use_bias", otherwise: false)))
    }
  }

  /// No published model has more than two.
  static let mostLayers = 8

  private static func hasProjectorLayer(_ layer: Int, _ names: ModelZooNames) -> RuleCondition {
    RuleCondition("\(names.projector).layers_units has layer \(layer)") { context in
      guard case .array(let units)? = context.right.value(at: "\(names.projector).layers_units") else { return false }
      return layer < units.count
    }
  }

  /// What a folder may hold besides the part that it is there for: the rest of CLIP, and a copy of the image model.
  @RulesBuilder private static var unreadParts: [Rule] {
    for key in ["text_model.{rest}", "logit_scale", "visual_projection.{leaf}", "text_projection.{leaf}"] {
      Only(.hf, KeyPattern("image_model.\(key)"), "LLaVA uses the tower alone")
    }
    Only(.hf, "text_model.model.vision_tower.{rest}", "the image model has a folder of its own")
  }

  /// The keys of the class in memory since transformers 4.52; files that `save_pretrained` writes have the older ones.
  @RulesBuilder private static var packedSpellings: [Rule] {
    Alias(.hf, "model.language_model.{rest}", for: "language_model.model.{rest}")
    Alias(.hf, "lm_head.{leaf}", for: "language_model.lm_head.{leaf}")
    Alias(.hf, "model.vision_tower.{rest}", for: "vision_tower.{rest}")
    Alias(.hf, "model.multi_modal_projector.{rest}", for: "multi_modal_projector.{rest}")
    Tie(
      .hf, "lm_head.weight", to: "model.language_model.embed_tokens.weight",
      when: .flag(.hf, "text_config.tie_word_embeddings"))
  }
}
