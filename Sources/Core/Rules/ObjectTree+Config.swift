import OrderedCollections

extension ObjectTree {
  /// The values of a config document as Python holds them once it is read. A date or a time becomes its text.
  init(_ value: ConfigValue) {
    switch value {
    case .null: self = .none
    case .bool(let flag): self = .bool(flag)
    case .number(let number):
      switch number.value {
      case .int(let int): self = .int(int)
      case .bigInt(let digits): self = .longInt(digits)
      case .double(let double): self = .double(double)
      }
    case .string(let text), .timestamp(let text): self = .string(text)
    case .array(let values): self = .list(values.map { ObjectTree($0) })
    case .object(let object):
      self = .dictionary(object.map { Entry(Key(config: $0.key), ObjectTree($0.value)) }, ordered: false)
    }
  }
}

extension ObjectTree.Key {
  /// The key of a `ConfigObject`, see `ConfigKey`.
  fileprivate init(config key: String) {
    switch ConfigKey(key) {
    case .scalar(.null): self = .none
    case .scalar(.bool(let flag)): self = .bool(flag)
    case .scalar(.number(let number)):
      switch number.value {
      case .int(let int): self = .int(int)
      case .double(let double): self = .double(double)
      case .bigInt(let digits): self = .string(digits)
      }
    case .string(let text): self = .string(text)
    case .scalar(let value): self = .string(value.pythonDescription)
    }
  }
}
