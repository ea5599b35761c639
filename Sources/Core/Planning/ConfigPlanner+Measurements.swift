import OrderedCollections

extension ConfigPlanner.Step {
  /// The step with what the tensors of its source tell of the target's config, and that; empty for nothing.
  func measured(_ state: StateDict) -> (step: ConfigPlanner.Step, values: ConfigObject) {
    guard case .bridge(let crossing, let side) = hop else { return (self, [:]) }
    let tensors = Measurement.Tensors(side: side, state: state)
    var values = ConfigObject()
    for measurement in crossing.measurements where measurement.side == side {
      values.merge(measurement.values(context.config(side), tensors)) { $1 }
    }
    guard !values.isEmpty else { return (self, [:]) }
    var step = self
    let target = context.config(side.other).merging(values) { $1 }
    step.context =
      side == .left ? RuleContext(left: context.left, right: target) : RuleContext(left: target, right: context.right)
    return (step, values)
  }
}
