import OrderedCollections

extension CheckpointComparison.Difference.Kind: CustomStringConvertible {
  /// The kind in JSON.
  package var name: String {
    switch self {
    case .onlyLeft: "only_left"
    case .onlyRight: "only_right"
    case .dtype: "dtype"
    case .shape: "shape"
    case .elements: "elements"
    case .value: "value"
    }
  }

  /// A few words for a table.
  package var description: String {
    switch self {
    case .onlyLeft: "only left"
    case .onlyRight: "only right"
    case .dtype: "dtype"
    case .shape: "shape"
    case .value: "value"
    case .elements(let differing, let count, let first, let largest):
      "\(differing) of \(count) elements, first at \(first), largest difference "
        + (largest.map { "\($0)" } ?? "infinite or NaN")
    }
  }
}

extension CheckpointComparison {
  /// The comparison as JSON.
  package var document: ConfigObject {
    [
      "same": .bool(isSame), "tensors": .int(tensors), "others": .int(others),
      "differences": .array(differences.map(Self.describe)),
    ]
  }

  private static func describe(_ difference: Difference) -> ConfigValue {
    var object: ConfigObject = [
      "key": .string(difference.key), "difference": .string(difference.kind.name),
      "left": describe(difference.left), "right": describe(difference.right),
    ]
    if case .elements(let differing, let count, let first, let largest) = difference.kind {
      object["differing"] = .int(differing)
      object["elements"] = .int(count)
      object["first"] = .array(first.map { .int($0) })
      object["largest"] = largest.map { .double($0) } ?? .null
    }
    return .object(object)
  }

  private static func describe(_ leaf: Leaf?) -> ConfigValue {
    switch leaf {
    case nil: .null
    case .tensor(let tensor)?:
      ["dtype": .string(tensor.dtype.rawValue), "shape": .array(tensor.shape.map { .int($0) })]
    case let leaf?: ["value": .string(leaf.summary)]
    }
  }
}

extension ObjectTree<TensorDescriptor> {
  /// A leaf in a few words: type and shape of a tensor, or another value as Python would show it.
  package var summary: String {
    switch self {
    case .tensor(let tensor): "\(tensor.dtype.rawValue) \(tensor.shape)"
    case .none: "None"
    case .bool(let flag): flag ? "True" : "False"
    case .int(let number): "\(number)"
    case .longInt(let digits): digits
    case .double(let number): "\(number)"
    case .string(let text): "'\(text)'"
    case .bytes(let bytes): "\(bytes.count) bytes"
    case .opaque(.dtype(let name)): name
    case .opaque(.device(let type, let index)): index.map { "\(type):\($0)" } ?? type
    case .opaque(.complex(let real, let imaginary)): "\(real)+\(imaginary)j"
    case .dictionary, .list, .tuple, .set: "empty"
    }
  }
}
