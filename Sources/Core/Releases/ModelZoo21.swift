import OrderedCollections

/// What release 2.1 changed in params documents: it takes torch's names for the settings of optimizers and schedulers
/// only, where 2.0 took the old ones too, and moves precision out of `use_bfloat16`.
///
/// All of it is for the way up. 2.0 reads the new names as well, so nothing changes on the way down.
/// Facts: Model Zoo Release 2.10.0, `base_converter.py` of its checkpoint converters.
enum ModelZoo21 {
  static let document: [DocumentRule] =
    ModelZoo20.retiredRunSettings + [
      .rewrite("optimizer settings", forward: { (document, _, _) in renameOptimizerSettings(&document) }),
      .rewrite("scheduler settings", forward: { (document, _, _) in renameSchedulerSettings(&document) }),
      .moveUp("model.precision_opt_level", to: "runconfig.precision_opt_level", ifSection: "runconfig"),
      .moveUp("model.use_bfloat16", to: "model.fp16_type", replaces: true) { (value) throws(ConfigFailure) in
        value.isTruthyInPython ? "bfloat16" : "float16"
      },
      .caution(.newer, "model.fp16_type") { value in
        value == "float16"
          ? nil
          : "Release 2.0 does not read model.fp16_type (\(value.pythonDescription)) and computes in float16. Set "
            + "model.use_bfloat16: true for bfloat16."
      },
    ]

  private static func renameOptimizerSettings(_ document: inout ConfigObject) {
    guard case .object(var optimizer) = document["optimizer"], case .string(let type) = optimizer["optimizer_type"],
      let parameters = OptimizerNames.optimizers[type.lowercased()]
    else { return }
    for name in parameters where optimizer[name] == nil {
      for old in OptimizerNames.oldOptimizerSettings[name] ?? [] where old.allSatisfy({ optimizer[$0] != nil }) {
        let values = old.compactMap { optimizer.removeValue(forKey: $0) }
        optimizer[name] = values.count == 1 ? values[0] : .array(values)
        break
      }
    }
    document["optimizer"] = .object(optimizer)
  }

  private static func renameSchedulerSettings(_ document: inout ConfigObject) {
    let place: DocumentPath = "optimizer.learning_rate"
    switch document[at: place] {
    case .object(let scheduler): document[at: place] = .object(renamed(scheduler))
    case .array(let schedulers):
      document[at: place] = .array(
        schedulers.map { if case .object(let scheduler) = $0 { .object(renamed(scheduler)) } else { $0 } })
    default: break
    }
  }

  private static func renamed(_ scheduler: ConfigObject) -> ConfigObject {
    guard case .string(let name) = scheduler["scheduler"],
      let parameters = OptimizerNames.schedulers[name.lowercased()]
        ?? OptimizerNames.schedulers[name.lowercased() + "lr"]
    else { return scheduler }
    var scheduler = scheduler
    for name in parameters where scheduler[name] == nil {
      if let old = OptimizerNames.oldSchedulerSettings[name]?.first(where: { scheduler[$0] != nil }) {
        scheduler[name] = scheduler.removeValue(forKey: old)
      }
    }
    return scheduler
  }
}
