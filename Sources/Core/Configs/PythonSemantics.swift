internal import OrderedCollections

// Config rules were written against Python's notions of text, equality and truth; these are those notions.
extension ConfigValue {
  /// What Python's `str()` gives, as in an f-string: a string bare, everything else as `repr` writes it.
  ///
  /// `True`, `None`, `1e-05`, `[1, 2.5]`, `{'n_heads': 2}`. Complexity: O(nodes).
  var pythonDescription: String {
    switch self {
    case .string(let text), .timestamp(let text): return text
    default: break
    }
    var result = ""
    appendRepr(to: &result)
    return result
  }

  private func appendRepr(to result: inout String) {
    switch self {
    case .null: result += "None"
    case .bool(let flag): result += flag ? "True" : "False"
    case .number(let number): result += number.pythonDescription
    case .string(let text): result += PythonText.repr(text)
    case .timestamp(let text): result += text
    case .array(let values):
      result += "["
      for (index, value) in values.enumerated() {
        if index > 0 { result += ", " }
        value.appendRepr(to: &result)
      }
      result += "]"
    case .object(let object):
      result += "{"
      for (index, (key, value)) in object.enumerated() {
        if index > 0 { result += ", " }
        result += ConfigKey.isMarked(key) ? ConfigKey.text(key) : PythonText.repr(key)
        result += ": "
        value.appendRepr(to: &result)
      }
      result += "}"
    }
  }

  /// Python's `==`: `1 == 1.0 == True`, NaN differs from itself, mappings compare without regard to order, strings
  /// by code points.
  ///
  /// An integer beyond 64 bits equals a float when it rounds to it. Complexity: O(nodes).
  func isEqualInPython(_ other: ConfigValue) -> Bool {
    switch (self, other) {
    case (.null, .null): return true
    case (.string(let left), .string(let right)), (.timestamp(let left), .timestamp(let right)):
      return left.utf8.elementsEqual(right.utf8)
    case (.array(let left), .array(let right)):
      return left.count == right.count && zip(left, right).allSatisfy { $0.isEqualInPython($1) }
    case (.object(let left), .object(let right)):
      return left.count == right.count
        && left.allSatisfy { key, value in right[key].map { value.isEqualInPython($0) } ?? false }
    case (.number, .number), (.number, .bool), (.bool, .number), (.bool, .bool):
      guard let left = numberInPython, let right = other.numberInPython else { return false }
      return left.isEqualInPython(right)
    default: return false
    }
  }

  /// Python's `bool()`: false for `None`, `False`, zero and whatever is empty.
  var isTruthyInPython: Bool {
    switch self {
    case .null: false
    case .bool(let flag): flag
    case .number(let number): number.value != .int(0) && number.value != .double(0)
    case .string(let text): !text.isEmpty
    case .timestamp: true
    case .array(let values): !values.isEmpty
    case .object(let object): !object.isEmpty
    }
  }

  /// The number, with `True` as 1 and `False` as 0; nil for anything else.
  var numberInPython: ConfigNumber? {
    switch self {
    case .number(let number): number
    case .bool(let flag): ConfigNumber(flag ? 1 : 0)
    default: nil
    }
  }
}

extension ConfigNumber {
  /// What Python's `str()` gives; the text of the source plays no part.
  var pythonDescription: String {
    switch value {
    case .int(let int): String(int)
    case .bigInt(let digits): digits
    case .double(let double): PythonFloat.repr(double)
    }
  }

  /// Python's `==` of two numbers; integers of 64 bits and floats compare exactly.
  func isEqualInPython(_ other: ConfigNumber) -> Bool {
    switch (value, other.value) {
    case (.int(let left), .int(let right)): left == right
    case (.bigInt(let left), .bigInt(let right)): left == right
    case (.int(let int), .double(let double)), (.double(let double), .int(let int)): Int(exactly: double) == int
    case (.int, .bigInt), (.bigInt, .int): false
    case (.bigInt, .double), (.double, .bigInt), (.double, .double): double == other.double
    }
  }
}
