/// The settings of the Model Zoo's optimizers and learning rate schedulers.
///
/// Source: the signatures of cerebras_pytorch 2.0 that the Model Zoo keeps beside its converters
/// (`optimizer_lrs_signatures`), written out here as text.
enum OptimizerNames {
  /// Settings of each optimizer, by its type in lower case.
  static let optimizers: [String: [String]] = [
    "adadelta": ["lr", "rho", "eps", "weight_decay", "maximize"],
    "adafactor": [
      "lr", "eps", "clip_threshold", "decay_rate", "beta1", "weight_decay", "scale_parameter", "relative_step",
      "warmup_init",
    ],
    "adagrad": ["lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", "maximize"],
    "adamax": ["lr", "betas", "eps", "weight_decay", "maximize"],
    "adambase": ["lr", "betas", "eps", "weight_decay", "l2_regularization_rate", "correct_bias", "amsgrad"],
    "adamw": ["lr", "betas", "eps", "weight_decay", "correct_bias", "amsgrad"],
    "adam": ["lr", "betas", "eps", "weight_decay", "amsgrad"],
    "asgd": ["lr", "lambd", "alpha", "t0", "weight_decay", "maximize"],
    "lamb": ["lr", "betas", "eps", "weight_decay", "adam"],
    "lion": ["lr", "betas", "weight_decay"],
    "nadam": ["lr", "betas", "eps", "weight_decay", "momentum_decay"],
    "radam": ["lr", "betas", "eps", "weight_decay"],
    "rmsprop": ["lr", "alpha", "eps", "weight_decay", "momentum", "centered"],
    "rprop": ["lr", "etas", "step_sizes"],
    "sgd": ["lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"],
  ]

  /// Older names of optimizer settings: each is one key, or several keys whose values become a list.
  static let oldOptimizerSettings: [String: [[String]]] = [
    "weight_decay": [["weight_decay_rate"]],
    "betas": [["beta1", "beta2"]],
    "eps": [["eps1", "eps2"]],
    "etas": [["eta1", "eta2"]],
    "step_sizes": [["step_size_min", "step_size_max"]],
  ]

  /// Class names of the schedulers, as the trainer layout writes them.
  static let schedulerClasses = [
    "ConstantLR", "PolynomialLR", "LinearLR", "ExponentialLR", "InverseExponentialTimeDecayLR",
    "InverseSquareRootDecayLR", "CosineDecayLR", "SequentialLR", "PiecewiseConstantLR", "MultiStepLR", "StepLR",
    "CosineAnnealingLR", "LambdaLR", "CosineAnnealingWarmRestarts", "MultiplicativeLR", "ChainedScheduler", "CyclicLR",
    "OneCycleLR", "ScalePerParamLR",
  ]

  /// The class that a params file means by the name of a scheduler, in any case and with or without `LR`; nil for others.
  static func schedulerClass(_ name: String) -> String? {
    let name = name.lowercased()
    return schedulerClasses.first { $0.lowercased() == name }
      ?? schedulerClasses.first { $0.lowercased() == name + "lr" }
  }

  /// Settings of each scheduler, by its class in lower case.
  static let schedulers: [String: [String]] = [
    "constantlr": ["learning_rate", "total_iters"],
    "polynomiallr": ["initial_learning_rate", "end_learning_rate", "total_iters", "power", "cycle"],
    "linearlr": ["initial_learning_rate", "end_learning_rate", "total_iters", "cycle"],
    "exponentiallr": ["initial_learning_rate", "total_iters", "decay_rate", "staircase"],
    "inverseexponentialtimedecaylr": [
      "initial_learning_rate", "step_exponent", "total_iters", "decay_rate", "staircase",
    ],
    "inversesquarerootdecaylr": ["initial_learning_rate", "scale", "warmup_steps"],
    "cosinedecaylr": ["initial_learning_rate", "end_learning_rate", "total_iters"],
    "sequentiallr": ["schedulers", "milestones", "last_epoch"],
    "piecewiseconstantlr": ["learning_rates", "milestones"],
    "multisteplr": ["initial_learning_rate", "gamma", "milestones"],
    "steplr": ["initial_learning_rate", "step_size", "gamma"],
    "cosineannealinglr": ["initial_learning_rate", "T_max", "eta_min"],
    "lambdalr": ["initial_learning_rate"],
    "cosineannealingwarmrestarts": ["initial_learning_rate", "T_0", "T_mult", "eta_min"],
    "multiplicativelr": ["initial_learning_rate", "coefficient"],
    "chainedscheduler": ["schedulers"],
    "cycliclr": [
      "base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "scale_mode",
    ],
    "onecyclelr": [
      "initial_learning_rate", "max_lr", "total_steps", "pct_start", "final_div_factor", "three_phase",
      "anneal_strategy",
    ],
    "scaleperparamlr": ["scheduler"],
  ]

  /// Older names of scheduler settings, the first that is there counts.
  static let oldSchedulerSettings: [String: [String]] = [
    "total_iters": ["steps", "decay_steps"],
    "initial_learning_rate": ["learning_rate", "base_lr"],
    "base_lr": ["learning_rate", "initial_learning_rate"],
    "learning_rates": ["values"],
    "milestones": ["boundaries"],
    "T_max": ["t_max"],
    "T_0": ["t_0"],
    "T_mult": ["t_mult"],
  ]
}
