import OrderedCollections

/// Values of the target's config that no config tells, only the tensors of the source.
///
/// They are taken at the step between Hugging Face and the Model Zoo, and replace what config rules wrote there. A config
/// that is converted alone does without them.
struct Measurement: Sendable {
  /// The side that is read.
  let side: Side
  /// What the config of the other side gets, by key; empty for nothing.
  let values: @Sendable (_ config: ConfigObject, _ tensors: Tensors) -> ConfigObject

  /// What `values` yields for the config and the tensors of a source of `side`.
  init(
    _ side: Side, _ values: @escaping @Sendable (_ config: ConfigObject, _ tensors: Tensors) -> ConfigObject
  ) {
    self.side = side
    self.values = values
  }

  /// The tensors of a source by name; those of the Model Zoo without their optional prefix.
  struct Tensors {
    let side: Side
    let state: StateDict

    /// The shape of a tensor; nil when there is none under the name.
    func shape(_ name: String) -> [Int]? {
      let value = state.values[name] ?? (side == .cs ? state.values[Model.optionalPrefix + name] : nil)
      return value?.tensor?.shape
    }
  }
}
