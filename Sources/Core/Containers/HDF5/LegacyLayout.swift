/// The layouts of releases 1.7 to 2.0, formats 0.1 to 0.4: a pickled tree specification and one dataset for each leaf,
/// whose attributes say what it is.
struct LegacyLayout {
  private typealias Tree = ObjectTree<TensorDescriptor>

  private let contents: HDF5Contents
  private let version: Double

  /// A layout over opened contents.
  init(_ contents: HDF5Contents, version: Double) {
    self.contents = contents
    self.version = version
  }

  /// The object tree. A leaf without a dataset is `None`, as in the tool; datasets without a leaf are left out.
  ///
  /// Throws `.hostileInput` when the specification names a class that has no place in it. Complexity: O(metadata).
  func tree() throws(ConversionError) -> ObjectTree<TensorDescriptor> {
    let name = "__spec__ of \(contents.path)"
    guard let text = try contents.attribute("__spec__")?.string, let pickle = Self.bytes(hex: text) else {
      throw ConversionError(.unreadableInput, "\(name) should be hexadecimal text")
    }
    let spec = try HarmlessPickle.treeSpec(pickle, name: name, limits: contents.file.limits)
    return try spec.fill { (key) throws(ConversionError) in
      guard let found = try contents.dataset(Self.datasetName(key)) else { return .none }
      return try leaf(key, found.dataset, at: found.address, hops: 0)
    }
  }

  /// The bytes that hexadecimal text stands for; nil for other text.
  private static func bytes(hex text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    for position in stride(from: 0, to: digits.count, by: 2) {
      guard let high = Character(Unicode.Scalar(digits[position])).hexDigitValue,
        let low = Character(Unicode.Scalar(digits[position + 1])).hexDigitValue
      else { return nil }
      bytes.append(UInt8(high << 4 | low))
    }
    return bytes
  }

  /// The name of a leaf's dataset: `urllib.parse.quote(key, safe="")`.
  private static func datasetName(_ key: String) -> String {
    let hex = Array("0123456789ABCDEF".utf8)
    var name: [UInt8] = []
    for byte in key.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "~"):
        name.append(byte)
      default: name += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: name, as: UTF8.self)
  }

  private func problem(_ key: String, _ what: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(contents.path): \(key) \(what)")
  }

  /// The value of a leaf from its dataset. `hops` counts references between datasets that were followed.
  private func leaf(
    _ key: String, _ dataset: HDF5Dataset, at address: Int, hops: Int
  ) throws(ConversionError) -> Tree {
    func value(_ name: String) throws(ConversionError) -> HDF5Value? {
      try dataset.attributes[name]?.value(contents.reader)
    }
    func tensor() throws(ConversionError) -> Tree {
      let isBFloat16 = try value("is_bfloat16")?.isTrue ?? false
      return .tensor(
        try contents.tensor(dataset, at: address, name: key, declared: isBFloat16 ? .bfloat16 : nil))
    }
    func elsewhere(_ path: String?) -> ConversionError {
      problem(
        key,
        "is not in this file: it refers to \(path ?? "another one"). Files that another file names are never opened; "
          + "load the checkpoint with its release and save it with all its tensors")
    }
    guard let type = try value("__H5_TYPE__")?.string else {
      // Releases 1.7 and 1.8 set flags instead of a type.
      if try value("is_none")?.isTrue == true { return .none }
      if try value("is_string")?.isTrue == true { return .string(try string(key, try value("string_val"))) }
      if try value("is_constructible")?.isTrue == true { return try constant(key, dataset) }
      if let path = try value("filepath") { throw elsewhere(path.string) }
      if try value("is_scalar")?.isTrue == true, dataset.space == .simple([]) {
        return try contents.number(dataset, name: key).tree()
      }
      return try tensor()
    }
    switch type {
    case "TorchTensorH5Type", "NumpyArrayH5Type": return try tensor()
    case "ScalarH5Type": return try contents.number(dataset, name: key).tree()
    case "StringH5Type": return .string(try string(key, try value("string_value")))
    case "NoneH5Type": return .none
    case "ObjectH5Type":
      guard let text = try value("object_value")?.string, let pickle = Self.bytes(hex: text) else {
        throw problem(key, "has an object_value that is no hexadecimal text")
      }
      return try HarmlessPickle.value(pickle, name: "\(key) in \(contents.path)", limits: contents.file.limits)
    case "DeferredFullTensor", "FullTensorH5Type": return try constant(key, dataset)
    case "DeferredH5Tensor", "StoredTensorH5Type":
      guard try value("link_to_self")?.isTrue == true, let target = try value("key")?.string else {
        throw elsewhere(try value("filepath")?.string)
      }
      guard hops < 16, let found = try contents.dataset(target) else {
        throw problem(key, "refers to \(target), which is missing or refers back")
      }
      // A dataset that names itself holds the data.
      if found.address == address { return try tensor() }
      return try leaf(key, found.dataset, at: found.address, hops: hops + 1)
    case "DeferredFileTensor", "StoredApplianceTensorH5Type": throw elsewhere(try value("filepath")?.string)
    default: throw problem(key, "is stored as \(type), which is not known")
    }
  }

  private func string(_ key: String, _ value: HDF5Value?) throws(ConversionError) -> String {
    guard let string = value?.string else { throw problem(key, "has no text") }
    return string
  }

  /// A constant tensor: the dataset gives the element type, attributes the shape and the value.
  private func constant(_ key: String, _ dataset: HDF5Dataset) throws(ConversionError) -> Tree {
    guard case .number(let stored, _) = dataset.type,
      let shape = try dataset.attributes["shape"]?.value(contents.reader).shape
    else { throw problem(key, "is a constant tensor without type or shape") }
    let isBFloat16 = try dataset.attributes["is_bfloat16"]?.value(contents.reader).isTrue ?? false
    let value = try dataset.attributes["fill_value"]?.value(contents.reader).number?.double
    return .tensor(
      try contents.constant(shape: shape, dtype: isBFloat16 ? .bfloat16 : stored, value: value, name: key))
  }
}
