/// Where the settings of a params file stand in the layout of release 2.2 and in the `trainer` layout of 2.3.
///
/// Facts: Model Zoo Release 2.10.0, `trainer/utils.py` (`TRAINER_PARAMS_TO_LEGACY`).
struct TrainerSetting: Sendable {
  /// What counts as the value.
  enum Kind: Sendable {
    /// Anything but null and empty collections.
    case value
    /// As `value`, with null as well.
    case nullable
    /// A mapping or a list that is not empty.
    case collection
    /// A mapping or a list, and all that is in it, empty or null.
    case section
    /// A number, a text or a boolean.
    case scalar
    /// As `collection`; a text counts as a mapping of that text under the empty key.
    case levels
  }

  /// The place under `trainer`. Entries of `callbacks` and `loggers` are addressed by their class, although the document
  /// has a list of mappings with one key there.
  let trainer: DocumentPath
  /// The place in the older layout.
  let legacy: DocumentPath
  /// What counts as the value.
  let kind: Kind

  init(_ trainer: DocumentPath, _ legacy: DocumentPath, _ kind: Kind = .value) {
    self.trainer = trainer
    self.legacy = legacy
    self.kind = kind
  }
}

enum TrainerSettings {
  /// All settings, in the order in which the trainer layout writes them.
  static let all: [TrainerSetting] =
    start + backend + clusterConfig + devices + model + precision + loop + checkpoint + logging + callbacks + loggers
    + loaders

  /// Settings of the older layout that say how a run was started and have no place in the newer.
  static let withoutPlace: [DocumentPath] = ["runconfig.mode"]
  /// Callbacks that are switched on by a boolean.
  static let switches = [
    "LogInputSummaries", "CheckLoss", "ComputeNorm", "LogSparsity", "DumpActivations",
  ]
  /// The callback that stands for `add_summaries` in any group of the sparsity section.
  static let logSparsity = ["LogSparsity"]
  /// The setting that a scope of flags may hold.
  static let microBatchSize = "csx.performance.micro_batch_size"

  private static let start = run("init", ["model_dir", "seed"])

  private static let backend =
    [TrainerSetting("init.backend.backend_type", "runconfig.target_device")]
    + run("init.backend", ["compile_dir", "compile_only", "validate_only"])

  private static let clusterConfig =
    run("init.backend.cluster_config", ["num_csx"])
    + [
      TrainerSetting("init.backend.cluster_config.max_wgt_servers", "runconfig.num_wgt_servers"),
      TrainerSetting("init.backend.cluster_config.max_act_per_csx", "runconfig.num_act_servers"),
    ]
    + run("init.backend.cluster_config", ["mgmt_address", "mgmt_namespace", "credentials_path"])
    + run("init.backend.cluster_config", ["mount_dirs", "python_paths"], .collection)
    + run("init.backend.cluster_config", ["num_workers_per_csx", "cbcore_image"])
    + run("init.backend.cluster_config", ["job_labels"], .collection)
    + run("init.backend.cluster_config", ["job_priority", "job_time_sec", "disable_version_check"])

  private static let devices = run(
    "init.backend", ["enable_distributed", "main_process_id", "dist_backend", "init_method", "sync_batchnorm"])

  private static let model = [
    TrainerSetting("init.model", "model", .section),
    TrainerSetting("init.optimizer", "optimizer", .collection),
    TrainerSetting("init.schedulers", "optimizer.learning_rate", .collection),
  ]

  private static let precision =
    [
      TrainerSetting("init.precision.enabled", "model.mixed_precision"),
      TrainerSetting("init.precision.fp16_type", "model.fp16_type"),
      TrainerSetting("init.precision.precision_opt_level", "runconfig.precision_opt_level"),
    ]
    + [
      "loss_scaling_factor", "initial_loss_scale", "steps_per_increase", "min_loss_scale", "max_loss_scale",
      "max_gradient_norm", "max_gradient_value",
    ].map { TrainerSetting(["init", "precision", $0], ["optimizer", $0]) }
    + [
      TrainerSetting("init.precision.log_loss_scale", "optimizer.log_summaries"),
      TrainerSetting("init.sparsity.sparsity", "sparsity", .scalar),
      TrainerSetting("init.sparsity", "sparsity", .section),
    ]

  private static let loop =
    run("init.loop", ["num_steps", "max_steps", "num_epochs", "steps_per_epoch", "eval_frequency", "eval_steps"])
    + [TrainerSetting("init.loop.grad_accum_steps", "optimizer.grad_accum_steps")]

  private static let checkpoint =
    [TrainerSetting("init.checkpoint.steps", "runconfig.checkpoint_steps")]
    + run(
      "init.checkpoint",
      ["disable_strict_checkpoint_loading", "autoload_last_checkpoint", "save_initial_checkpoint"])

  private static let logging =
    [
      TrainerSetting("init.logging.log_steps", "runconfig.log_steps"),
      TrainerSetting("init.logging.log_level", "runconfig.logging"),
      TrainerSetting("init.logging.wsc_log_level", "runconfig.wsc_log_level", .levels),
    ] + run("init.logging", ["enable_act_frequency"])

  private static let callbacks =
    flags("csx.performance", ["transfer_processes"])
    + flags("csx.debug", ["ini", "debug_args"], .collection)
    + flags("csx.debug", ["retrace_every_iteration", "lazy_initialization", "log_initialization", "drop_data"])
    + flags("csx.debug", ["fabric_type_blacklist"], .collection)
    + flags(
      "csx.debug",
      [
        "compile_crd_memory_gi", "execute_crd_memory_gi", "wrk_memory_gi", "act_memory_gi", "cmd_memory_gi",
        "wgt_memory_gi", "chf_memory_gi",
      ])
    + [
      callback(["ScopedTrainFlags", microBatchSize], "train_input.micro_batch_size", .nullable),
      callback(["ScopedValidateFlags", microBatchSize], "eval_input.micro_batch_size", .nullable),
      callback(["DebugArgsPath", "debug_args_path"], "runconfig.debug_args_path"),
      callback(["Lora", "lora_params"], "model.lora_params", .collection),
      callback(["LogInputSummaries"], "runconfig.log_input_summaries"),
      callback(["CheckLoss"], "runconfig.check_loss_values"),
      callback(["ComputeNorm"], "optimizer.log_summaries"),
      callback(["LoadCheckpointStates", "load_checkpoint_states"], "runconfig.load_checkpoint_states"),
      callback(["KeepNCheckpoints", "n"], "runconfig.max_checkpoints"),
      callback(logSparsity, "sparsity.add_summaries"),
      callback(["WeightCompression", "compressions"], "model.compression", .collection),
      callback(["SelectiveGrad", "selective_grads"], "model.selective_grad", .collection),
      callback(["Listener", "listeners"], "runconfig.experimental.listeners", .collection),
      callback(["OpProfiler"], "runconfig.op_profiler_config", .collection),
      callback(["DumpActivations"], "runconfig.dump_activations"),
      callback(["HFCacheDir", "cache_dir"], "runconfig.hf_cache_dir"),
    ]

  private static let loggers =
    ["summary_dir", "legacy_event_dirs"].map {
      TrainerSetting(["init", "loggers", "TensorBoardLogger", $0], ["runconfig", $0])
    }
    + ["project", "group", "run_id", "run_name", "job_type", "tags", "resume", "entity"].map {
      TrainerSetting(["init", "loggers", "WandbLogger", $0], ["wandb", $0])
    }

  private static let loaders = [
    TrainerSetting("fit.train_dataloader", "train_input", .section),
    TrainerSetting("fit.val_dataloader", "eval_input", .section),
    TrainerSetting("fit.ckpt_path", "runconfig.checkpoint_path"),
    TrainerSetting("validate.val_dataloader", "eval_input", .section),
    TrainerSetting("validate.ckpt_path", "runconfig.checkpoint_path"),
    TrainerSetting("validate_all.val_dataloaders", "eval_input", .section),
    TrainerSetting("validate_all.ckpt_paths", "runconfig.checkpoint_path"),
  ]

  /// Settings of `runconfig` that keep their names.
  private static func run(
    _ place: DocumentPath, _ keys: [String], _ kind: TrainerSetting.Kind = .value
  ) -> [TrainerSetting] {
    keys.map { TrainerSetting(place.appending($0), ["runconfig", $0], kind) }
  }

  /// Settings of `runconfig` that became flags, whose keys hold dots.
  private static func flags(
    _ prefix: String, _ keys: [String], _ kind: TrainerSetting.Kind = .value
  ) -> [TrainerSetting] {
    keys.map { callback(["GlobalFlags", "\(prefix).\($0)"], ["runconfig", $0], kind) }
  }

  private static func callback(
    _ keys: [String], _ legacy: DocumentPath, _ kind: TrainerSetting.Kind = .value
  ) -> TrainerSetting {
    TrainerSetting(DocumentPath(["init", "callbacks"] + keys), legacy, kind)
  }
}
