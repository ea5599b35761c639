import OrderedCollections

/// The layout of releases 2.1 to 2.10, format 0.5: a JSON tree specification and JSON metadata for each leaf.
struct CurrentLayout {
  private typealias Tree = ObjectTree<TensorDescriptor>

  private let contents: HDF5Contents

  /// A layout over opened contents.
  init(_ contents: HDF5Contents) { self.contents = contents }

  /// The object tree with all leaves resolved.
  ///
  /// Throws `.unreadableInput` when the checkpoint was not written to its end, a dataset is missing, two leaves have one
  /// key, or data is kept in another file. Complexity: O(metadata).
  func tree() throws(ConversionError) -> ObjectTree<TensorDescriptor> {
    guard try contents.attribute("__SUCCESS__")?.isTrue == true else {
      throw ConversionError(
        .unreadableInput,
        "\(contents.path) was not written to its end: __SUCCESS__ is missing. Save the checkpoint again")
    }
    let name = "__spec__ of \(contents.path)"
    guard let text = try contents.attribute("__spec__")?.string,
      case .array(let parts) = try JSONReader.parse(
        Array(text.utf8), name: name, limits: contents.file.limits.forCheckpointJSON),
      parts.count == 2, case .string(let spec) = parts[1]
    else { throw ConversionError(.unreadableInput, "\(name) should be a JSON array of a tree and its specification") }
    var leaves: [String: Tree] = [:]
    let tree = try PytreeJSON.parse(spec, name: name, limits: contents.file.limits)
    return try tree.fill { (key) throws(ConversionError) in
      let value = try leaf(key, earlier: leaves)
      guard leaves.updateValue(value, forKey: key) == nil else {
        throw ConversionError(
          .unreadableInput,
          "\(contents.path) has two entries whose key reads \(key); one overwrote the other when it was saved. "
            + "Rename one of them and save the checkpoint again")
      }
      return value
    }
  }

  private func problem(_ key: String, _ what: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(contents.path): \(key) \(what)")
  }

  /// The value of one leaf. `earlier` holds the leaves before it, which it may be linked to.
  private func leaf(_ key: String, earlier: [String: Tree]) throws(ConversionError) -> Tree {
    guard let text = try contents.attribute("\(key).__metadata__")?.string else {
      throw problem(key, "has no metadata; the attribute \(key).__metadata__ is missing")
    }
    let document = try JSONReader.parse(
      Array(text.utf8), name: "the metadata of \(key) in \(contents.path)",
      limits: contents.file.limits.forCheckpointJSON)
    guard case .object(let outer) = document else { throw problem(key, "has metadata that is no JSON object") }
    guard case .object(let metadata)? = outer["\(key).__metadata__"] else {
      // A nested leaf: its inner object says where the data is.
      for case .object(let inner) in outer.values {
        if case .string(let path)? = inner["path"] { throw elsewhere(key, path) }
      }
      throw problem(key, "is stored in a nested form that is not read")
    }
    guard let type = metadata.text("__TYPE__") else { throw problem(key, "has metadata without __TYPE__") }
    switch type {
    case "TorchTensorSerializer", "NumpyArraySerializer": return .tensor(try tensor(key, metadata))
    case "NoneSerializer": return .none
    case "StringSerializer":
      guard let string = metadata.text("string_value") else { throw problem(key, "has no string_value") }
      return .string(string)
    case "ScalarSerializer":
      switch metadata["scalar_value"] {
      case .bool(let flag): return .bool(flag)
      case .number(let number):
        switch number.value {
        case .int(let int): return .int(int)
        case .bigInt(let digits): return .longInt(digits)
        case .double(let double): return .double(double)
        }
      default: throw problem(key, "has no scalar_value")
      }
    case "LinkedObject":
      guard let target = metadata.text("key"), let value = earlier[target] else {
        throw problem(key, "is linked to \(metadata.text("key") ?? "nothing"), which is no earlier entry")
      }
      return value
    case "DeferredFullTensor": return .tensor(try constant(key, metadata))
    case "ObjectSerializer":
      guard let found = try contents.dataset(key),
        case .bytes(let bytes)? = try found.dataset.attributes["__BYTES__"]?.value(contents.reader)
      else { throw problem(key, "is a Python object whose bytes are missing") }
      return try HarmlessPickle.value(
        bytes, name: "\(key) in \(contents.path)", limits: contents.file.limits)
    default:
      if let path = metadata.text("path") { throw elsewhere(key, path) }
      throw problem(key, "is stored by the serialiser \(type), which is not known")
    }
  }

  private func elsewhere(_ key: String, _ path: String) -> ConversionError {
    problem(
      key,
      "is not in this file: it refers to \(path). Files that another file names are never opened; load the checkpoint "
        + "with cstorch.load and save it with all its tensors")
  }

  /// The tensor of a dataset. Attributes of the dataset count more than the metadata of the root, as in the tool.
  private func tensor(_ key: String, _ metadata: ConfigObject) throws(ConversionError) -> TensorDescriptor {
    guard let (address, dataset) = try contents.dataset(key) else {
      throw problem(key, "has no data: its dataset is missing. The file is damaged; save the checkpoint again")
    }
    func value(_ name: String) throws(ConversionError) -> HDF5Value? {
      try dataset.attributes[name]?.value(contents.reader)
    }
    var declared: String?
    if case .strings(let names)? = try value("dtypes") {
      declared = names.first
    } else if case .array(let names)? = metadata["dtypes"], case .string(let name)? = names.first {
      declared = name
    }
    let isBFloat16 = try value("is_bfloat16")?.isTrue ?? (metadata["is_bfloat16"] == .bool(true))
    let dtype =
      isBFloat16 ? .bfloat16 : try declared.map { (name) throws(ConversionError) in try self.dtype(name, key) }
    let tensor = try contents.tensor(dataset, at: address, name: key, declared: dtype)
    if let shape = try value("shapes")?.shape, shape != tensor.shape {
      throw problem(key, "states the shape \(shape) but its data has the shape \(tensor.shape)")
    }
    return tensor
  }

  private func constant(_ key: String, _ metadata: ConfigObject) throws(ConversionError) -> TensorDescriptor {
    guard case .array(let dimensions)? = metadata["shape"], let name = metadata.text("dtype") else {
      throw problem(key, "is a constant tensor without shape or dtype")
    }
    var shape: [Int] = []
    for dimension in dimensions {
      guard case .number(let number) = dimension, let length = number.int else {
        throw problem(key, "is a constant tensor with a shape that is not made of integers")
      }
      shape.append(length)
    }
    let value: Double?
    switch metadata["fill_value"] {
    case .number(let number): value = number.double
    case .bool(let flag): value = flag ? 1 : 0
    case .null, nil: value = nil
    default: throw problem(key, "is a constant tensor whose fill_value is no number")
    }
    return try contents.constant(shape: shape, dtype: try dtype(name, key), value: value, name: key)
  }

  /// The type that a name such as `torch.float32` stands for.
  private func dtype(_ name: String, _ key: String) throws(ConversionError) -> DType {
    guard name.hasPrefix("torch."), let dtype = DType(rawValue: String(name.dropFirst(6))) else {
      throw problem(key, "is of the element type \(name), which is not known")
    }
    return dtype
  }
}

extension ConfigObject {
  /// The string of a key, when it is one.
  fileprivate func text(_ key: String) -> String? {
    if case .string(let text)? = self[key] { text } else { nil }
  }
}
