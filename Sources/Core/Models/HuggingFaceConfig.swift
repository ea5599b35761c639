/// What configs of every model may hold besides what describes the model.
///
/// Facts: `configuration_utils.py` and the configs of transformers 4.57 and 5; the classes of models in Model Zoo 1.8.0 and
/// 2.10.0.
extension ConfigRule {
  /// Rules for every model, where the model's own rules do not mention the key.
  @ConfigRulesBuilder static var ofEveryModel: [ConfigRule] {
    anotherModel
    DescribesNothing(.hf, describesNothing)
    DescribesNothing(.cs, describesTraining)
  }

  /// Keys with which a config of a class means another model than the class alone.
  @ConfigRulesBuilder static var anotherModel: [ConfigRule] {
    RefuseKey(
      .hf, "quantization_config", unless: .null,
      reason: "quantized numbers are not the weights of the model; load it in transformers, dequantize it and save it")
    RefuseKey(
      .hf, "add_cross_attention", unless: false, .null, reason: "the target has no attention to another sequence")
    RefuseKey(
      .hf, "cross_attention_hidden_size", unless: .null, reason: "the target has no attention to another sequence")
    RefuseKey(.hf, "is_encoder_decoder", unless: false, .null, reason: "the target is one stack of layers")
    RefuseKey(
      .hf, "pruned_heads", unless: [:], [], .null, reason: "every layer of the target has all heads")
    RefuseKey(
      .hf, "rope_scaling", unless: .null, reason: "the target does not scale the positions of rotary embeddings")
  }

  /// Keys of the Model Zoo that say how a model is initialized, trained, evaluated and run.
  static let describesTraining =
    [
      "loss_scaling", "loss_weight", "allow_multireplica", "mixed_precision", "compute_eval_metrics",
      "boundary_casting", "attention_kernel", "attention_softmax_fp32", "fold_rope_consts", "dtype",
      "use_experimental_flex_api", "lr_adjustment_groups", "start_token", "loop_dim", "stop_sequences", "max_tokens",
      "temperature", "top_k", "top_p", "initializer",
    ]
    + ["embedding", "attention", "ffn", "ffn_output_layer", "output_layer"].map { "\($0)_initializer" }

  /// Keys of Hugging Face that name files, tokens, tasks and defaults of generation, and what a training run did.
  static let describesNothing =
    [
      "_name_or_path", "_commit_hash", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
      "_flash_attn_2_enabled", "auto_map", "tokenizer_class", "transformers.js_config", "task_specific_params",
      "finetuning_task", "problem_type", "id2label", "label2id", "num_labels", "classifier_dropout", "prefix", "n_ctx",
      "pretraining_tp",
      "gradient_checkpointing", "chunk_size_feed_forward", "torchscript", "tf_legacy_loss", "is_decoder", "use_cache",
      "return_dict", "output_attentions", "output_hidden_states", "output_scores", "return_dict_in_generate",
    ]
    + ["bos", "eos", "pad", "sep", "cls", "unk", "mask", "decoder_start", "forced_bos", "forced_eos"].map {
      "\($0)_token_id"
    }
    + ["type", "use_proj", "activation", "first_dropout", "proj_to_labels"].map { "summary_\($0)" }
    + [
      "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
      "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
      "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "remove_invalid_values",
      "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
    ]
}
