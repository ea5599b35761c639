// Everyday values beside the weights that are no plain data: instances of classes, and tensors in other forms.

/// An instance of a class that was read as plain values.
struct PickledObject: Hashable {
  /// Module and name of the class.
  let className: String
  /// The dictionary key beside which it stood, if there was one.
  let key: String?
}

extension PickleMachine {
  /// At most so many instances are remembered for the warning that names them.
  private static var namedObjects: Int { 1_000 }

  /// What a name that is not in `PickleGlobal` stands for.
  ///
  /// Throws `.unreadableInput` for what everyday files hold and no converter can use, `.hostileInput` for everything else.
  func foreign(module: String, name: String) throws(ConversionError) -> PickleGlobal {
    switch ForeignName(module: module.prefix(400).description, name: name.prefix(400).description) {
    case .plainClass(let name): return .plainClass(name)
    case .module(let name): throw wholeModel(name)
    case .tensor(let form): throw unreadable("the tensor\(nearestKey()) \(form)")
    case .distributedCheckpoint:
      throw ConversionError(.unreadableInput, "\(input.name) \(DistributedCheckpoint.wayOut)")
    case .forbidden:
      throw hostile(
        "refuses the global \(module.prefix(200)).\(name.prefix(200))\(nearestKey()), which a checkpoint does not need")
    }
  }

  /// An instance of a class as plain values: its attributes once `BUILD` brings them, until then what it was made from.
  mutating func plainObject(_ className: String, _ items: [PickleValue]) -> PickleValue {
    if objects.count < Self.namedObjects {
      objects.append(PickledObject(className: className, key: nearestText()))
    }
    if className.hasPrefix("pathlib") {
      var parts: [String] = []
      for case .string(let part) in items { parts.append(part) }
      if parts.count == items.count {
        let path = parts.joined(separator: "/")
        return .string(path.hasPrefix("//") ? String(path.dropFirst()) : path)
      }
    }
    return heap.add(.object(className), items)
  }

  /// Gives an instance its attributes: a dictionary, or a pair of one and the values of slots.
  mutating func buildObject(_ index: Int, _ className: String, _ state: PickleValue) throws(ConversionError) {
    let parts = heap.dictionary(state).map { [$0] } ?? heap.tuple(state)?.compactMap(heap.dictionary)
    guard let attributes = parts?.flatMap({ $0 }), !attributes.isEmpty || heap.dictionary(state) != nil else {
      // A state of its own making; kept as it is.
      heap.change(index, to: .object(className), items: [state])
      return
    }
    let names = stride(from: 0, to: attributes.count, by: 2).compactMap { position -> String? in
      if case .string(let name) = attributes[position] { name } else { nil }
    }
    // Every torch.nn.Module has these two.
    if names.contains("_parameters"), names.contains("_modules") { throw wholeModel(className) }
    heap.change(index, to: .dictionary(ordered: false), items: attributes)
  }

  /// `_rebuild_device_tensor_from_numpy` and its like: `(data, dtype, device, requires_grad)`. The bytes are those of a CPU.
  mutating func deviceTensor(_ items: [PickleValue], _ global: PickleGlobal) throws(ConversionError) -> PickleValue {
    guard items.count == 4, case .tensor(let data)? = heap.kind(items[0]), case .global(.dtype(let name)) = items[1]
    else { throw malformed(global) }
    if data.dtype.rawValue == name { return items[0] }
    // numpy has no bfloat16: torch keeps such a tensor as float32, of which the lower half is zero.
    if name == DType.bfloat16.rawValue, data.dtype == .float32, data.isContiguous, data.offset == 0,
      let bytes = resolver.inlineBytes(data.storage), bytes.count == data.byteCount
    {
      // One copy, however often the array is named.
      if let storage = narrowed[data.storage] {
        return heap.add(.tensor(TensorDescriptor(dtype: .bfloat16, shape: data.shape, storage: storage)))
      }
      var halves: [UInt8] = []
      halves.reserveCapacity(bytes.count / 2)
      var isExact = true
      for start in stride(from: 0, to: bytes.count, by: 4) {
        isExact = isExact && bytes[start] == 0 && bytes[start + 1] == 0
        halves += bytes[start + 2..<start + 4]
      }
      if isExact {
        let storage = try resolver.inlineStorage(halves)
        narrowed[data.storage] = storage
        return heap.add(.tensor(TensorDescriptor(dtype: .bfloat16, shape: data.shape, storage: storage)))
      }
    }
    throw unreadable(
      "the tensor\(nearestKey()) was saved as \(data.dtype.rawValue) to be loaded as \(name); save it from the CPU")
  }

  /// Checks what a tensor carries beside its view: hooks, and since torch 2.0 metadata such as a negative bit.
  ///
  /// Source: `set_tensor_metadata` in torch/_utils.py and `setTensorMetadata` in torch/csrc/jit/serialization/pickler.h.
  func checkExtras(hooks: PickleValue?, metadata: PickleValue?) throws(ConversionError) {
    switch hooks {
    case nil, .none?: break
    case let hooks?:
      guard heap.dictionary(hooks)?.isEmpty ?? false else {
        throw unreadable("the tensor\(nearestKey()) was saved with backward hooks; save tensor.detach()")
      }
    }
    guard let metadata else { return }
    if case .none = metadata { return }
    guard let pairs = heap.dictionary(metadata) else {
      throw hostile("the tensor\(nearestKey()) has metadata that is no dictionary")
    }
    for position in stride(from: 0, to: pairs.count - 1, by: 2) {
      if case .bool(false) = pairs[position + 1] { continue }
      switch pairs[position] {
      case .string("neg"):
        throw unreadable(
          "the tensor\(nearestKey()) is a view with the negative bit: its bytes have the opposite sign; save "
            + "tensor.resolve_neg()")
      case .string("conj"):
        throw unreadable(
          "the tensor\(nearestKey()) is a conjugate view: its bytes are not its values; save tensor.resolve_conj()")
      case .string(let name):
        throw unreadable("the tensor\(nearestKey()) has the metadata '\(name.prefix(40))', which is not supported")
      default: throw hostile("the tensor\(nearestKey()) has metadata without a name")
      }
    }
  }

  /// The text that lies nearest on the stack: the key that is being filled.
  func nearestText() -> String? {
    for value in stack.suffix(4).reversed() {
      if case .string(let key) = value { return String(key.prefix(200)) }
    }
    return nil
  }

  /// The dictionary key that is being filled, for messages: it lies on the stack below the value.
  func nearestKey() -> String { nearestText().map { " at '\($0)'" } ?? "" }

  /// An error for a model that was saved instead of its weights.
  func wholeModel(_ name: String) -> ConversionError {
    unreadable(
      "holds a whole model object (\(name.prefix(200))) and not its weights. Load it with the code that made it, save "
        + "model.state_dict() with torch.save, and convert that")
  }

  private func unreadable(_ message: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(input.name): \(message)")
  }
}

extension Diagnostic {
  /// One warning for all instances of classes that were read as plain values; nil when there are none.
  static func plainObjects(_ objects: [PickledObject], in file: String) -> Diagnostic? {
    guard !objects.isEmpty else { return nil }
    var named: [String] = []
    var seen: Set<PickledObject> = []
    for object in objects where seen.insert(object).inserted {
      named.append(object.key.map { "\(object.className) at '\($0)'" } ?? object.className)
    }
    let rest = named.count > 8 ? " and \(named.count - 8) more" : ""
    return Diagnostic(
      .warning, .unreadableInput, .file(file),
      "\(file) holds objects beside tensors, which are read as plain values: "
        + named.prefix(8).joined(separator: ", ") + rest)
  }
}
