import OrderedCollections

/// Why a rule cannot be applied to the tensors it was given.
struct RuleFailure: Error, Sendable {
  /// What does not fit, and what would.
  let message: String

  init(_ message: String) { self.message = message }
}

/// What a rule may look at besides its tensors: the model configs of both sides.
struct RuleContext: Sendable {
  /// The model config of the left side, defaults filled in.
  let left: ConfigObject
  /// The model config of the right side, defaults filled in.
  let right: ConfigObject

  /// The model config of a side.
  func config(_ side: Side) -> ConfigObject { side == .left ? left : right }

  /// The length that a dimension stands for. Throws when the config lacks it or holds no positive integer, when a
  /// quotient is not exact and when the result exceeds the largest dimension.
  func length(_ dimension: Dimension) throws(RuleFailure) -> Int {
    switch dimension {
    case .fixed(let length): return length
    case .config(let side, let key):
      guard let value = config(side).value(at: key) else {
        throw RuleFailure("the config lacks '\(key)', which is needed here")
      }
      return try length(value, key)
    case .optional(let side, let key, let otherwise):
      guard let value = config(side).value(at: key), value != .null else { return try length(otherwise) }
      return try length(value, key)
    case .product(let left, let right):
      return try checked(try length(left).multipliedReportingOverflow(by: try length(right)), dimension)
    case .sum(let left, let right):
      return try checked(try length(left).addingReportingOverflow(try length(right)), dimension)
    case .quotient(let left, let right):
      let (whole, part) = (try length(left), try length(right))
      guard part > 0, whole % part == 0 else {
        throw RuleFailure("\(whole) is not divisible by \(part) (\(dimension.keys.joined(separator: ", ")))")
      }
      return whole / part
    case .derived(let derived): return try derived.length(self)
    case .choice(let condition, let left, let right): return try length(holds(condition) ? left : right)
    }
  }

  private func checked(
    _ result: (partialValue: Int, overflow: Bool), _ dimension: Dimension
  ) throws(RuleFailure) -> Int {
    guard !result.overflow, result.partialValue <= ConfigRule.largestDimension * 1024 else {
      throw RuleFailure("\(dimension.keys.joined(separator: ", ")) of the config make a length that no model has")
    }
    return result.partialValue
  }

  private func length(_ value: ConfigValue, _ key: String) throws(RuleFailure) -> Int {
    guard case .number(let number) = value, let length = number.int, length > 0, length <= ConfigRule.largestDimension
    else { throw RuleFailure("'\(key)' of the config is \(value.pythonDescription), not a usable positive integer") }
    return length
  }

  /// The number under a key. Throws when the config lacks it or holds something else.
  func number(_ side: Side, _ key: String) throws(RuleFailure) -> Double {
    guard case .number(let number)? = config(side).value(at: key) else {
      throw RuleFailure("the config has no number under '\(key)', which is needed here")
    }
    return number.double
  }

  /// True where the condition holds for the configs.
  func holds(_ condition: RuleCondition) -> Bool { condition.test(self) }
}
