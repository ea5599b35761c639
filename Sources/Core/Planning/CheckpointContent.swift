import OrderedCollections

/// A checkpoint taken apart: the state dict, the other entries, and where the tensors of both lie.
struct CheckpointContent {
  /// The state dict, each tensor under its key.
  var stateDict: StateDict
  /// Entries beside the state dict: optimizer, learning rate scheduler, step.
  let otherEntries: [ObjectTree<SymbolicTensor>.Entry]
  /// Where each source tensor lies.
  private(set) var descriptors: [String: TensorDescriptor] = [:]
  /// True when a Model Zoo checkpoint is a state dict and nothing around it.
  let isBare: Bool
  /// The name under which the state dict was found, when something was wrapped around it that the format does not have;
  /// of components all of these, each behind the component.
  let wrappers: [String]
  /// Keys of the file, by the keys of the model that they became when the wrappers of a trainer were taken off.
  private(set) var wrappedKeys: [String: String] = [:]
  /// A warning that names what was taken off the keys; of components one each.
  private(set) var wrapperWarnings: [Diagnostic] = []
  /// Keys of the state dict as it was read.
  let keyCount: Int

  /// Names under which training frameworks put the state dict of a model into a checkpoint.
  private static let usualWrappers = ["model", "state_dict", "module"]

  /// Finds the state dict: for the Model Zoo under `model`; for Hugging Face the whole tree, or what a wrapper holds.
  ///
  /// `known` says which keys are the model's. With it, the dictionary that holds them is found wherever it is, and what
  /// trainers put around keys is taken off. With `bareAllowed`, a Model Zoo checkpoint may also be the bare state dict that
  /// `model.state_dict()` gives.
  /// A tree that is a `component` of a model has its keys behind the name of that.
  /// Throws `.unreadableInput` when the tree has no state dict where the format keeps it.
  init(
    _ tree: ObjectTree<TensorDescriptor>, format: Format, bareAllowed: Bool = false, known: KnownKeys? = nil,
    component: String = ""
  ) throws(ConversionError) {
    let prefix = component.isEmpty ? "" : "\(component)."
    var trainer = known.map(TrainerWrappers.init)
    let entries: [ObjectTree<TensorDescriptor>.Entry] =
      if case .dictionary(let entries, _) = tree { entries } else { [] }
    let usual =
      format.isCS && tree["model"] != nil ? "model" : Self.holdsTensors(entries) ? "" : Self.unwrap(entries)?.name
    var found: StateDictSearch.Place?
    if let trainer { found = try StateDictSearch(tree).better(than: usual, wrappers: trainer) }
    let isDictionary = if case .dictionary = tree { true } else { false }
    guard found != nil || isDictionary else {
      throw ConversionError(
        .unreadableInput, "The checkpoint holds no dictionary of tensors. Save model.state_dict() and convert that.")
    }
    var state = entries
    var others: [ObjectTree<TensorDescriptor>.Entry] = []
    var wrapper: String?
    isBare = format.isCS && bareAllowed && tree["model"] == nil && Self.holdsTensors(entries) && found == nil
    if let found {
      state = found.entries
      wrapper = found.path.isEmpty ? nil : found.path
    } else if format.isCS, !isBare {
      guard let model = entries.first(where: { $0.key == .string("model") }),
        case .dictionary(let inside, _) = model.value
      else {
        throw ConversionError(
          .unreadableInput,
          "The checkpoint has no entry 'model', where a \(format) checkpoint keeps its state dict. "
            + "If this is a Hugging Face checkpoint, use --src-fmt hf.")
      }
      state = inside
      others = entries.filter { $0.key != .string("model") }
    } else if !format.isCS, let wrapped = Self.unwrap(entries) {
      state = wrapped.entries
      wrapper = wrapped.name
    }
    self.wrappers = wrapper.map { [$0] } ?? []

    var descriptors = [String: TensorDescriptor](minimumCapacity: state.count)
    func symbolic(_ tree: ObjectTree<TensorDescriptor>, named name: String) -> ObjectTree<SymbolicTensor> {
      var count = 0
      return tree.mapTensors { descriptor in
        let key = count == 0 ? name : "\(name)#\(count)"
        count += 1
        descriptors[key] = descriptor
        return SymbolicTensor(source: key, dtype: descriptor.dtype, shape: descriptor.shape)
      }
    }
    var values = OrderedDictionary<String, StateDict.Value>(minimumCapacity: state.count)
    var pacer = Interruption.Pacer()
    let fileNames = state.map(\.key.description)
    let names = try trainer?.renamed(fileNames) ?? fileNames
    wrapperWarnings = trainer?.warning.map { [$0] } ?? []
    for (position, entry) in state.enumerated() {
      try pacer.step()
      let key = prefix + names[position]
      let fileKey = prefix + fileNames[position]
      if key != fileKey { wrappedKeys[key] = fileKey }
      let value: StateDict.Value
      if case .tensor(let descriptor) = entry.value {
        descriptors[fileKey] = descriptor
        value = .tensor(SymbolicTensor(source: fileKey, dtype: descriptor.dtype, shape: descriptor.shape))
      } else {
        value = .other(symbolic(entry.value, named: fileKey))
      }
      guard values.updateValue(value, forKey: key) == nil else {
        throw ConversionError(.unreadableInput, "The state dict has the key '\(key)' twice.")
      }
    }
    // The slash keeps these names apart from every key of the state dict, which the planner splits at dots only.
    otherEntries = others.map { entry in
      .init(entry.key.retyped(), symbolic(entry.value, named: "/\(entry.key.description)"))
    }
    stateDict = StateDict(values)
    keyCount = values.count
    self.descriptors = descriptors
  }

  /// The checkpoint of the source of a route. Throws as the other initialiser does.
  init(
    _ tree: ObjectTree<TensorDescriptor>, along route: Route, bareAllowed: Bool
  ) throws(ConversionError) {
    let known = KnownKeys(route.model, in: route.source, layout: route.layout)
    let folders = route.folders(in: route.source)
    if folders.isEmpty {
      try self.init(tree, format: route.source, bareAllowed: bareAllowed, known: known)
    } else {
      try self.init(tree, folders: folders, known: known)
    }
  }

  /// The components of a model as one state dict: each is an entry of the tree and a checkpoint of its own.
  private init(
    _ tree: ObjectTree<TensorDescriptor>, folders: [String], known: KnownKeys?
  ) throws(ConversionError) {
    var values = OrderedDictionary<String, StateDict.Value>()
    var wrappers: [String] = []
    for folder in folders {
      guard let inside = tree[folder] else {
        throw ConversionError(
          .unreadableInput,
          "The checkpoint has no component '\(folder)'; the model is made of "
            + folders.map { "'\($0)'" }.joined(separator: " and ") + ".")
      }
      let part = try CheckpointContent(inside, format: .hf, known: known?.inside(folder), component: folder)
      values.merge(part.stateDict.values) { first, _ in first }
      descriptors.merge(part.descriptors) { first, _ in first }
      wrappedKeys.merge(part.wrappedKeys) { first, _ in first }
      wrapperWarnings += part.wrapperWarnings
      wrappers += part.wrappers.map { "\(folder): \($0)" }
    }
    self.wrappers = wrappers
    otherEntries = []
    isBare = false
    stateDict = StateDict(values)
    keyCount = values.count
  }

  private static func holdsTensors(_ entries: [ObjectTree<TensorDescriptor>.Entry]) -> Bool {
    entries.contains { if case .tensor = $0.value { true } else { false } }
  }

  /// The state dict inside a checkpoint that wraps it, when nothing at the top is a tensor.
  private static func unwrap(
    _ entries: [ObjectTree<TensorDescriptor>.Entry]
  ) -> (name: String, entries: [ObjectTree<TensorDescriptor>.Entry])? {
    guard !holdsTensors(entries) else { return nil }
    for name in usualWrappers {
      guard let entry = entries.first(where: { $0.key == .string(name) }), case .dictionary(let inside, _) = entry.value
      else { continue }
      return (name, inside)
    }
    return nil
  }
}
