import OrderedCollections

/// T5 and its kin UL2, and the encoder-decoder Transformer, which share one class in the Model Zoo. Hugging Face on the
/// left, Model Zoo on the right.
///
/// Release 1.6 of the Model Zoo kept its layers under the names of Hugging Face; 1.7 renamed every key.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0 (`t5.py` of the checkpoint converters, `t5_model.py`, `model.py`) and
/// transformers' `modeling_t5.py`.
extension Family {
  static let t5 = Family(
    "t5",
    [
      Model(
        "t5", aliases: [.init("transformer", zooName: "transformer"), "ul2", "flan-ul2"],
        csClass: "T5ForConditionalGeneration", ladder: T5.ladder,
        offered: .steps(from: Release(1, 8), every: Release(1, 6)...Release(1, 8), Release(1, 8)...Release(2, 0)),
        bridges: [Release(1, 7)...Release(1, 8), Release(2, 1)...Release.current].map { releases in
          Bridge(
            covers: releases, hfClass: "T5ForConditionalGeneration", modelTypes: ["t5"],
            folds: [releases.lowerBound < Release(2, 0) ? .anySparsity : .sidebandSparsity],
            muP: { $0 >= Release(2, 3) ? .folded(.t5MuP) : .refused }, measurements: [T5.countedWords],
            tensors: T5.huggingFace, config: T5.config)
        })
    ])
}

enum T5 {
  static let stacks = ["encoder", "decoder"]
  private static let stack = "{stack=encoder|decoder}"

  // MARK: Axes

  private static let model = Dimension.cs("d_model")
  private static let attention = Dimension.cs("num_heads") * .cs("d_kv")
  private static let inner = Dimension.cs("d_ff")

  /// The rows of a stack's embedding.
  static func vocabulary(_ stack: String) -> Dimension {
    stack == "decoder" ? .cs("tgt_vocab_size", or: .cs("src_vocab_size")) : .cs("src_vocab_size")
  }

  /// The class builds `extra_ids` more rows than `src_vocab_size` says; in some files that counts them already.
  private static let hasExtraRows = RuleCondition.flag(.right, "extra_ids")

  /// A matrix with a row for each word of a stack. Between two releases files of either size pass.
  @RulesBuilder static func words(
    _ left: KeyPattern, _ right: KeyPattern, of stack: String, presence: DeclaredShape.Presence = .always,
    file: String = #fileID, line: Int = #line
  ) -> [Rule] {
    When(!hasExtraRows) {
      Rename(
        left, right, [vocabulary(stack), model], presence: presence, bias: .optional, file: file, line: line)
    }
    When(hasExtraRows) { Rename(left, right, file: file, line: line) }
  }

  /// The same between Hugging Face and the Model Zoo: as many rows as the HF config says.
  @RulesBuilder private static func huggingFaceWords(
    _ left: KeyPattern, _ right: KeyPattern, of stack: String, file: String = #fileID, line: Int = #line
  ) -> [Rule] {
    let rows = Dimension.choice(hasExtraRows, vocabulary(stack) + .cs("extra_ids"), vocabulary(stack))
    Rename(left, right, [.hf("vocab_size", or: rows), model], bias: .optional, file: file, line: line)
  }

  /// The words of the HF model where a checkpoint of the Model Zoo has rows for `extra_ids`.
  static let countedWords = Measurement(.cs) { config, tensors in
    let matrices = [embeddings("encoder"), embeddings("decoder"), "lm_head.weight"]
    guard case .number(let words)? = config["src_vocab_size"], case .number(let extra)? = config["extra_ids"],
      let words = words.int, let extra = extra.int, extra > 0, extra <= ConfigRule.largestDimension,
      let rows = matrices.compactMap({ tensors.shape($0)?.first }).first, rows == words + extra
    else { return [:] }
    return ["vocab_size": .int(rows)]
  }

  private static func embeddings(_ stack: String) -> String { "\(stack)_embeddings.word_embeddings.weight" }

  private static func layerCount(_ stack: String) -> Dimension {
    let encoder = Dimension.cs("encoder_num_hidden_layers")
    return stack == "encoder" ? encoder : .cs("decoder_num_hidden_layers", or: encoder)
  }

  /// The feed-forward layers of a stack have two input matrices.
  private static func isGated(_ stack: String) -> RuleCondition {
    RuleCondition("\(stack)_nonlinearity is gated") { context in
      let own = context.right["\(stack)_nonlinearity"] ?? .null
      guard case .string(let name)? = own == .null ? context.right["encoder_nonlinearity"] : own else { return false }
      return name.hasSuffix("glu")
    }
  }

  // MARK: Tensors

  /// The layers, which Hugging Face and release 1.6 name alike.
  @RulesBuilder static var layers: [Rule] {
    Scope("encoder.block.{layer}", "encoder.layers.{layer}", count: layerCount("encoder")) {
      selfAttention
      feedForward("layer.1", norm: "norm2", of: "encoder")
    }
    // Cross-attention comes second in the decoder and pushes the feed-forward layer to the third place.
    Scope("decoder.block.{layer}", "decoder.layers.{layer}", count: layerCount("decoder")) {
      selfAttention
      projections("layer.1.EncDecAttention", "multihead_attn")
      norm("layer.1.layer_norm", "norm2")
      feedForward("layer.2", norm: "norm3", of: "decoder")
    }
    norm("\(stack).final_layer_norm", "\(stack).norm")
  }

  @RulesBuilder private static var selfAttention: [Rule] {
    projections("layer.0.SelfAttention", "self_attn")
    norm("layer.0.layer_norm", "norm1")
  }

  @RulesBuilder private static func projections(_ left: KeyPattern, _ right: KeyPattern) -> [Rule] {
    Scope(left, right) {
      Rename("q.{leaf}", "proj_q_dense_layer.{leaf}", [attention, model], bias: .optional)
      Rename("k.{leaf}", "proj_k_dense_layer.{leaf}", [attention, model], bias: .optional)
      Rename("v.{leaf}", "proj_v_dense_layer.{leaf}", [attention, model], bias: .optional)
      Rename("o.{leaf}", "proj_output_dense_layer.{leaf}", [model, attention], bias: .optional)
    }
  }

  @RulesBuilder private static func feedForward(
    _ left: KeyPattern, norm right: KeyPattern, of stack: String
  ) -> [Rule] {
    Scope(KeyPattern("\(left).DenseReluDense"), "ffn.ffn") {
      When(!isGated(stack)) { Rename("wi.{leaf}", "0.linear_layer.{leaf}", [inner, model], bias: .optional) }
      When(isGated(stack)) {
        Rename("wi_0.{leaf}", "0.linear_layer_for_glu.{leaf}", [inner, model], bias: .optional)
        Rename("wi_1.{leaf}", "0.linear_layer.{leaf}", [inner, model], bias: .optional)
      }
      Rename("wo.{leaf}", "1.linear_layer.{leaf}", [model, inner], bias: .optional)
    }
    norm(KeyPattern("\(left).layer_norm"), right)
  }

  /// A norm; only a layer norm of the Transformer has a bias.
  @RulesBuilder private static func norm(_ left: KeyPattern, _ right: KeyPattern) -> [Rule] {
    Scope(left, right) { Rename("{leaf}", "{leaf}", [model], bias: .optional) }
  }

  /// Between Hugging Face and the Model Zoo.
  @Sendable @RulesBuilder static func huggingFace(_ release: Release) -> [Rule] {
    layers
    huggingFaceWords("lm_head.{leaf}", "lm_head.{leaf}", of: "decoder")
    for stack in stacks {
      huggingFaceWords(KeyPattern("\(stack).embed_tokens.weight"), KeyPattern(embeddings(stack)), of: stack)
      relativeBias(stack, release)
    }
    Only(.hf, "shared.weight", "both stacks hold the same matrix")
    Only(
      .hf, "decoder.block.{layer}.layer.1.EncDecAttention.relative_attention_bias.{leaf}",
      "attention to the other stack has no relative bias, although old checkpoints hold one")
    ties
    // What a config may not say, but the checkpoint does.
    let positions = "\(stack)_embeddings.position_embeddings"
    let isModule = release >= Release(2, 1)
    Refuse(
      .cs, KeyPattern("\(positions)\(isModule ? ".embed" : "").weight"),
      "HF does not support position_embedding_type=\"learned_absolute\"")
    Refuse(
      .cs, KeyPattern("\(positions)\(isModule ? ".fpe" : "")"),
      "HF does not support position_embedding_type=\"fixed\"")
  }

  /// Of its layers' attentions the first adds the relative bias. UMT5, whose layers all do, is another model.
  @RulesBuilder private static func relativeBias(_ stack: String, _ release: Release) -> [Rule] {
    let bias = "\(relativeBiasModule(stack, release)).relative_attention_bias"
    Rename(
      KeyPattern("\(stack).block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
      KeyPattern("\(bias).weight"), [.cs("relative_attention_num_buckets", or: 32), .cs("num_heads")])
    Needed(.cs, "\(bias).weight", "HF supports position_embedding_type=\"relative\" only")
  }

  /// Where a stack keeps its relative bias.
  static func relativeBiasModule(_ stack: String, _ release: Release) -> String {
    release >= Release(2, 1) ? "\(stack)_embeddings.position_embed_helper" : "relative_position_\(stack)"
  }

  /// One matrix under up to four names, of which a file may hold any.
  @RulesBuilder private static var ties: [Rule] {
    // What is written holds a copy as `shared.weight`, of the decoder's if there is one.
    Tie(.hf, "shared.weight", to: "decoder.embed_tokens.weight", isWritten: true)
    Tie(.hf, "shared.weight", to: "encoder.embed_tokens.weight", isWritten: true)
    let isTied = RuleCondition.flag(.hf, "tie_word_embeddings")
    Tie(.hf, "shared.weight", to: "lm_head.weight", when: isTied, isWritten: true)
    Tie(.hf, "encoder.embed_tokens.weight", to: "shared.weight")
    Tie(.hf, "decoder.embed_tokens.weight", to: "shared.weight")
    Tie(.hf, "lm_head.weight", to: "shared.weight", when: isTied)
    sharedMatrix(.cs)
  }

  /// The matrix that embeddings and head of a side may share, and that a file may hold once.
  @RulesBuilder static func sharedMatrix(_ side: Side) -> [Rule] {
    let (encoder, decoder) = ("encoder_embeddings.word_embeddings.weight", "decoder_embeddings.word_embeddings.weight")
    let head = RuleCondition.flag(side, "share_embedding_weights", otherwise: true)
    let stacks = RuleCondition.flag(side, "share_encoder_decoder_embedding", otherwise: true)
    Tie(side, decoder, to: "lm_head.weight", when: head)
    Tie(side, decoder, to: encoder, when: stacks)
    Tie(side, encoder, to: decoder, when: stacks)
    Tie(side, "lm_head.weight", to: decoder, when: head)
  }
}
