internal import Glibc
import OrderedCollections

/// Facts: Model Zoo Release 2.10.0, `bert_model.py` and `bert_pretrain_models.py`. The vendor's converter leaves the heads
/// unscaled, although the class scales their results.
extension Fold {
  /// muP of the Model Zoo's BERT: the scale of the logits goes into both heads with their biases, that of the attention
  /// into its keys.
  static let bertMuP = Fold(
    "muP", applies: { (_, model) in MuP.activeKey(in: model) != nil },
    scalings: [
      Scaling("bert_encoder.transformer_encoder.layers.{layer}.self_attn.proj_k_dense_layer.{leaf}") {
        (config) throws(ConfigFailure) in try MuP.attentionKeys(config)
      },
      Scaling("bert_mlm_head.classifier.ffn.0.linear_layer.{leaf}", logits),
      Scaling("bert_cls_head.classifier.ffn.0.linear_layer.{leaf}", logits),
      Scaling("bert_encoder.embedding_layer.{kind=word|segment}_embeddings.weight", embeddings),
      Scaling("bert_encoder.embedding_layer.position_embeddings.embed.weight", embeddings),
    ],
    shared: [(BERT.csWords, BERT.csHead)], ties: { $0["share_embedding_weights"]?.isTruthyInPython ?? true },
    config: { (config) throws(ConfigFailure) in
      // Embedding and head were one matrix with two scales.
      MuP.standard(config, separates: ["embeddings_scale", "output_logits_scale"])
    })

  private static let logits: Scaling.Functions = { (config) throws(ConfigFailure) in
    MuP.multiplied(by: try MuP.logitsScale(config))
  }

  /// The norm behind the embeddings undoes their scale, but for its epsilon; so they keep their bits where that is too
  /// small to show.
  private static let embeddings: Scaling.Functions = { (config) throws(ConfigFailure) in
    let epsilon = try MuP.number("layer_norm_epsilon", config) ?? 1e-5
    return epsilon < 1e-9 ? [] : MuP.multiplied(by: try MuP.number("embeddings_scale", config))
  }
}
