/// Folders and repositories that hold weights in a form that is not converted: what they are, and the way out.
///
/// Judged by names alone, so that a repository is refused before a byte of it is downloaded.
package enum NeighbouringFormats {
  /// A predicate such as "holds TensorFlow weights only; ...", or nil when no name says anything.
  ///
  /// `names` are those of a folder, hidden ones included, none of which is a checkpoint that can be converted.
  package static func describe(_ names: some Sequence<String>) -> String? {
    let names = Array(names)
    func has(_ test: (String) -> Bool) -> Bool { names.contains(where: test) }
    if has(DistributedCheckpoint.owns) { return DistributedCheckpoint.wayOut }
    if has({ $0 == "zero_to_fp32.py" || $0.hasPrefix("zero_pp_rank_") || $0.hasPrefix("bf16_zero_pp_rank_") }) {
      return "is a DeepSpeed ZeRO checkpoint, whose weights are spread over ranks; make one file of it first: "
        + "python zero_to_fp32.py FOLDER OUTPUT"
    }
    if has(isAdapter) {
      return "holds an adapter (LoRA or another PEFT method) and not the model; merge it into its base model with "
        + "merge_and_unload() of peft, save that with save_pretrained, and convert the result"
    }
    if has({ isTensorFlow($0) || $0 == "saved_model.pb" || $0.hasSuffix(".ckpt.index") || $0.hasSuffix(".ckpt.meta") })
    {
      return "holds TensorFlow weights only; load them with from_pretrained(..., from_tf=True), save them with "
        + "save_pretrained, and convert that"
    }
    if has({ $0.hasSuffix(".msgpack") }) {
      return "holds Flax weights only; load them with from_pretrained(..., from_flax=True), save them with "
        + "save_pretrained, and convert that"
    }
    if has({ $0.hasSuffix(".gguf") || $0.hasSuffix(".ggml") }) {
      return
        "holds GGUF files only, which are quantised or packed for llama.cpp; convert the original checkpoint instead"
    }
    if has({ $0.hasSuffix(".onnx") }) { return "holds ONNX graphs only; convert the original checkpoint instead" }
    if has({ $0.hasSuffix(".ot") }) {
      return "holds weights of rust-bert only; convert the original checkpoint instead"
    }
    return nil
  }

  /// True for a file that bears an extension of checkpoints, but holds weights of another framework, an adapter, or the state
  /// of a training run.
  package static func isOther(_ name: String) -> Bool {
    isTensorFlow(name) || isAdapter(name) || trainingFiles.contains(name)
      || trainingPrefixes.contains { name.hasPrefix($0) }
  }

  private static func isTensorFlow(_ name: String) -> Bool { name.hasPrefix("tf_model") && name.contains(".h5") }

  private static func isAdapter(_ name: String) -> Bool {
    ["adapter_model.", "adapter_config.json", "pytorch_lora_weights.", "adapter.safetensors"].contains {
      name.hasPrefix($0)
    }
  }

  /// What `transformers.Trainer` and accelerate write beside the weights.
  private static let trainingFiles: Set<String> = ["training_args.bin", "scaler.pt"]
  private static let trainingPrefixes = ["optimizer.", "scheduler.", "rng_state", "optimizer-", "scheduler-"]
}
