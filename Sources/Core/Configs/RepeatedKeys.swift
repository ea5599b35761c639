/// Keys that a config holds more than once: Python takes the last value silently, Zooport takes it and says so.
struct RepeatedKeys {
  /// Keys that get a warning of their own, so that a document of nothing else costs no more than one that has none.
  private static let named = 100

  private var warnings: [Diagnostic] = []
  private var others = 0

  /// Notes a key; `place` is worked out only where it is named.
  mutating func add(_ key: String, at place: () -> String) {
    guard warnings.count < Self.named else {
      others += 1
      return
    }
    let key = ConfigKey.text(key)
    let message = "\(place()): the key \(PythonText.repr(key)) occurs twice in one mapping; the last value is used"
    warnings.append(Diagnostic(.warning, .unreadableInput, .config(key), message))
  }

  /// One warning for each key, and one for those that are not named.
  func findings(in name: String) -> [Diagnostic] {
    guard others > 0 else { return warnings }
    let message = "\(name): \(others) more keys occur twice; the last value is used"
    return warnings + [Diagnostic(.warning, .unreadableInput, .conversion, message)]
  }
}
