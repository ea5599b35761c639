internal import Glibc
import OrderedCollections

/// What becomes of a model that was trained in the maximal update parametrization (muP) on the way to Hugging Face.
enum MuPSupport: Sendable {
  /// Its scales go into the weights, so that a model in the standard parametrization computes the same.
  case folded(Fold)
  /// The Hugging Face model knows muP; the model's own rules carry the keys.
  case carried
  /// The model cannot be converted, except for keys that its own rules carry.
  case refusedUnless(carried: Set<String>)

  /// The model cannot be converted.
  static let refused = MuPSupport.refusedUnless(carried: [])

  /// What happens on the way to Hugging Face; nil for nothing.
  var fold: Fold? {
    switch self {
    case .folded(let fold): fold
    case .carried: nil
    case .refusedUnless(let keys): .refusingMuP(unless: keys)
    }
  }

  /// Keys that change nothing where a config with them is not muP.
  @ConfigRulesBuilder var neutralKeys: [ConfigRule] {
    switch self {
    case .folded: for key in MuP.keys { Ignore(.cs, key) }
    case .carried: [ConfigRule]()
    case .refusedUnless(let carried): for key in MuP.keys where !carried.contains(key) { Ignore(.cs, key) }
    }
  }
}

/// How params files say that a model is muP.
///
/// Facts: Model Zoo Release 2.10.0, `gpt2_model.py`, `gptj_model.py`, `AttentionLayer.py`, and `mup.py` of the checkpoint
/// converters; where the converter and the class disagree, the class computes what was trained.
enum MuP {
  /// Keys that say what the widths of the base model are. One that is not null makes a model muP.
  static let baseKeys = [
    "mup_base_hidden_size", "mup_base_filter_size", "mup_base_d_model", "mup_base_d_ff", "mup_base_d_kv",
  ]
  /// Keys that switch a scaling on, whether there is a base model or not.
  static let switches = ["scale_qk_dot_by_d", "scale_encoder_qk_dot_by_d", "scale_decoder_qk_dot_by_d"]
  /// Keys that multiply something, whether there is a base model or not; null and 1 are neutral.
  static let factors = [
    "embeddings_scale", "embeddings_alpha", "attention_logits_alpha", "encoder_attention_logits_alpha",
    "decoder_attention_logits_alpha", "output_logits_scale",
  ]
  /// Keys that have a meaning beside the width of a base model only.
  static let dependents = ["output_logits_alpha", "scale_output_logits_by_d"]
  /// All keys.
  static let keys = baseKeys + switches + factors + dependents

  /// True for a config that names the widths of a base model.
  static func hasBase(_ config: ConfigObject) -> Bool {
    config.contains { $0.key.hasPrefix("mup_base_") && $0.value != .null }
  }

  /// True for a config that scales embeddings and logits apart, by a base model or by one of these factors.
  static func separatesEmbeddings(_ config: ConfigObject, _ factors: [String]) -> Bool {
    config.keys.contains { key in
      (key.hasPrefix("mup_base_") || factors.contains(key)) && activeKey(in: [key: config[key] ?? .null]) != nil
    }
  }

  /// A config without the keys of muP. Where embedding and head were one matrix with two scales, they are two now.
  static func standard(_ config: ConfigObject, separates factors: [String]) -> ConfigObject {
    var standard = config.filter { !keys.contains($0.key) && !$0.key.hasPrefix("mup_base_") }
    if separatesEmbeddings(config, factors) { standard["share_embedding_weights"] = false }
    return standard
  }

  /// The first key by which a model computes something else than in the standard parametrization; nil for none.
  static func activeKey(in config: ConfigObject, unless ignored: Set<String> = []) -> String? {
    config.first { key, value in
      guard !ignored.contains(key), value != .null else { return false }
      if key.hasPrefix("mup_base_") { return true }
      if switches.contains(key) { return value.isTruthyInPython }
      guard factors.contains(key) else { return false }
      return !value.isEqualInPython(1) && !(key == "output_logits_scale" && !value.isTruthyInPython)
    }?.key
  }

  /// The number under a key; nil for a missing or null one. Throws for anything else than a finite number.
  static func number(_ key: String, _ config: ConfigObject) throws(ConfigFailure) -> Double? {
    guard let value = config[key], value != .null else { return nil }
    guard case .number(let number) = try ConfigType.number.checked(value, key: key).value else { return nil }
    return number.double
  }

  /// The number under a key by which others are divided; nil for a missing or null one and for 0.
  static func width(_ key: String, _ config: ConfigObject) throws(ConfigFailure) -> Double? {
    guard let width = try number(key, config), width != 0 else { return nil }
    guard width > 0 else { throw ConfigFailure(key, "'\(key)' is \(width); the width of a model is positive.") }
    return width
  }

  /// A product, nothing for a product with 1.
  static func multiplied(by number: Double?) -> [ElementFunction] {
    if let number, number != 1 { [.multiply(number)] } else { [] }
  }
}

extension Fold {
  /// muP of the Model Zoo's decoders.
  ///
  /// The scale of the logits goes into the head with its bias, that of the embeddings into the embeddings or the norm behind
  /// them, those of the attention into its keys. `positions` are learned ones, `embeddingNorm` is a norm behind the
  /// embeddings, of models that have them. Where a muP config leaves `scale_qk_dot_by_d` out, `dividesByDefault` says
  /// what the class of the release does.
  static func decoderMuP(
    positions: KeyPattern? = nil, embeddingNorm: KeyPattern? = nil, dividesByDefault: Bool = true
  ) -> Fold {
    let embeddings: Scaling.Functions = { (config) throws(ConfigFailure) in
      let isNormed = embeddingNorm != nil && config["embedding_layer_norm"]?.isTruthyInPython ?? false
      return isNormed ? [] : MuP.multiplied(by: try MuP.number("embeddings_scale", config))
    }
    var scalings = [
      Scaling("transformer_decoder.layers.{layer}.self_attn.proj_k_dense_layer.{leaf}") {
        (config) throws(ConfigFailure) in
        try MuP.attentionKeys(config, dividesByDefault: dividesByDefault)
      },
      Scaling("lm_head.{leaf}") { (config) throws(ConfigFailure) in
        MuP.multiplied(by: try MuP.logitsScale(config))
      },
      Scaling("embedding_layer.word_embeddings.weight", embeddings),
    ]
    if let positions { scalings.append(Scaling(positions, embeddings)) }
    if let embeddingNorm {
      scalings.append(
        Scaling(embeddingNorm) { (config) throws(ConfigFailure) in
          MuP.multiplied(by: try MuP.number("embeddings_scale", config))
        })
    }
    return Fold(
      "muP", applies: { (_, model) in MuP.activeKey(in: model) != nil }, scalings: scalings,
      shared: [("lm_head.weight", "embedding_layer.word_embeddings.weight")],
      ties: { $0["share_embedding_weights"]?.isTruthyInPython ?? true },
      config: { (config) throws(ConfigFailure) in
        MuP.standard(config, separates: ["embeddings_scale", "output_logits_scale"])
      })
  }

  /// Refuses configs by which a model computes something else than in the standard parametrization.
  static func refusingMuP(unless carried: Set<String>) -> Fold {
    Fold(
      "muP", applies: { (_, model) in MuP.activeKey(in: model, unless: carried) != nil }, scalings: [],
      config: { (config) throws(ConfigFailure) in
        let key = MuP.activeKey(in: config, unless: carried) ?? ""
        throw ConfigFailure(
          key,
          "Can't convert config with \(key)=\(config[key]?.pythonDescription ?? ""): it belongs to the muP "
            + "parametrization, whose conversion to Hugging Face this model does not support.")
      })
  }
}

extension MuP {
  /// `alpha * weight / sqrt(size of a head)`, two operations with a rounding each.
  static func attentionKeys(
    _ config: ConfigObject, dividesByDefault: Bool = true
  ) throws(ConfigFailure) -> [ElementFunction] {
    let alpha = multiplied(by: try number("attention_logits_alpha", config))
    let explicit = config["scale_qk_dot_by_d"].flatMap { $0 == .null ? nil : $0.isTruthyInPython }
    guard explicit ?? (dividesByDefault && hasBase(config)),
      config["attention_type"].map({ $0 == "scaled_dot_product" }) ?? true
    else { return alpha }
    var width = try config.requiredInt("hidden_size")
    if let inner = config["attention_inner_dim"], inner != .null {
      width = try config.requiredInt("attention_inner_dim")
    }
    let heads = try config.requiredInt("num_heads")
    guard heads > 0, width >= heads else {
      throw ConfigFailure("num_heads", "A width of \(width) cannot be divided among \(heads) heads.")
    }
    let root = Double(width / heads).squareRoot()
    return root == 1 ? alpha : alpha + [.divide(root)]
  }

  /// What the class multiplies the logits with; nil for nothing.
  static func logitsScale(_ config: ConfigObject) throws(ConfigFailure) -> Double? {
    guard let base = try width("mup_base_hidden_size", config) else {
      let scale = try number("output_logits_scale", config)
      return scale == 0 ? nil : scale
    }
    let multiple = Double(try config.requiredInt("hidden_size")) / base
    let configured = try number("output_logits_alpha", config) ?? 0
    let alpha = configured == 0 ? 1 : configured
    let byWidth = config["scale_output_logits_by_d"].map { $0 == .null || $0.isTruthyInPython } ?? true
    return alpha / (byWidth ? multiple : pow(multiple, 0.5))
  }
}
