internal import Glibc
import OrderedCollections

/// Facts: Model Zoo Release 2.10.0, `t5_model.py`, `AttentionLayer.py`, and `mup.py` of the checkpoint converters.
extension Fold {
  /// muP of the Model Zoo's T5: what its projections, its attention, its embeddings and its logits are multiplied with goes
  /// into their matrices, one factor and one rounding each.
  static let t5MuP = Fold(
    "muP", applies: { (_, model) in MuP.activeKey(in: model) != nil },
    scalings: [
      scaling("{stack=encoder|decoder}", "q", queries),
      scaling("encoder", "k") { (config) throws(ConfigFailure) in try keys(config, "encoder") },
      scaling("decoder", "k") { (config) throws(ConfigFailure) in try keys(config, "decoder") },
      scaling("{stack=encoder|decoder}", "v") { (config) throws(ConfigFailure) in
        try projections(config, exponent: -0.5)
      },
      scaling("{stack=encoder|decoder}", "output") { (config) throws(ConfigFailure) in
        try projections(config, exponent: 0.5)
      },
      Scaling("lm_head.weight") { (config) throws(ConfigFailure) in MuP.multiplied(by: try logits(config)) },
      Scaling("{stack=encoder|decoder}_embeddings.word_embeddings.weight") { (config) throws(ConfigFailure) in
        MuP.multiplied(by: try embeddings(config))
      },
    ],
    shared: [
      ("lm_head.weight", "decoder_embeddings.word_embeddings.weight"),
      ("decoder_embeddings.word_embeddings.weight", "encoder_embeddings.word_embeddings.weight"),
      ("lm_head.weight", "encoder_embeddings.word_embeddings.weight"),
    ],
    ties: shares,
    config: { (config) throws(ConfigFailure) in MuP.standard(config, separates: ["embeddings_alpha"]) })

  /// A projection of the attentions of a stack.
  private static func scaling(
    _ stack: String, _ part: String, _ factor: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> Double?
  ) -> Scaling {
    let attention = "\(stack).layers.{layer}.{attention=self_attn|multihead_attn}"
    return Scaling(KeyPattern("\(attention).proj_\(part)_dense_layer.{leaf}")) { (config) throws(ConfigFailure) in
      MuP.multiplied(by: try factor(config))
    }
  }

  private static let shares: @Sendable (ConfigObject) -> Bool = {
    $0["share_embedding_weights"]?.isTruthyInPython ?? true
  }

  /// The width of the model over that of its base, to a power; 1 where the size of the heads scales instead.
  private static func projections(_ config: ConfigObject, exponent: Double) throws(ConfigFailure) -> Double {
    guard try MuP.width("mup_base_d_kv", config) == nil, let base = try MuP.width("mup_base_d_model", config) else {
      return 1
    }
    return pow(Double(try config.requiredInt("d_model")) / base, exponent)
  }

  /// A muP model divides the products of queries and keys by the root of the size of a head; T5 does not.
  private static let queries: @Sendable (ConfigObject) throws(ConfigFailure) -> Double? = {
    (config) throws(ConfigFailure) in
    let scale = try projections(config, exponent: -0.5)
    return MuP.hasBase(config) ? scale / Double(try config.requiredInt("d_kv")).squareRoot() : scale
  }

  private static func keys(_ config: ConfigObject, _ stack: String) throws(ConfigFailure) -> Double {
    let alpha = try MuP.number("\(stack)_attention_logits_alpha", config) ?? 1
    let scale = alpha * (try projections(config, exponent: -0.5))
    // Without a base model T5's attention has no division that this key could strengthen.
    guard MuP.hasBase(config), config["scale_\(stack)_qk_dot_by_d"].map({ $0 == .null || $0.isTruthyInPython }) ?? true
    else { return scale }
    return scale / Double(try config.requiredInt("d_kv")).squareRoot()
  }

  private static func embeddings(_ config: ConfigObject) throws(ConfigFailure) -> Double {
    let configured = try MuP.number("embeddings_alpha", config) ?? 0
    let alpha = configured == 0 ? 1 : configured
    guard try MuP.width("mup_base_d_model", config) != nil else { return alpha }
    return alpha * pow(Double(try config.requiredInt("d_model")), 0.5)
  }

  private static func logits(_ config: ConfigObject) throws(ConfigFailure) -> Double? {
    let width = Double(try config.requiredInt("d_model"))
    guard let base = try MuP.width("mup_base_d_model", config) else {
      // A model that shares its embeddings divides the logits; the HF model does so only while it shares them, too.
      return shares(config) && MuP.separatesEmbeddings(config, ["embeddings_alpha"]) ? pow(width, -0.5) : nil
    }
    let configured = try MuP.number("output_logits_alpha", config) ?? 0
    let alpha = configured == 0 ? 1 : configured
    let byWidth = config["scale_output_logits_by_d"]?.isTruthyInPython ?? false
    return alpha / (byWidth ? width / base : pow(width / base, 0.5))
  }
}
