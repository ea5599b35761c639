import API

/// Looks settings up, flags before variables before the file, and collects what is wrong with them.
struct SettingsReader {
  let flags: [String: String]
  let environment: [String: String]
  let file: SettingsFile?
  private(set) var problems: [String]

  init(flags: [String: String], environment: [String: String], file: SettingsFile?) {
    self.flags = flags
    self.environment = environment
    self.file = file
    problems = file?.problems ?? []
  }

  /// A value and what to call the place it comes from.
  private func find(_ name: String) -> (text: String, source: String)? {
    if let flag = flags[name], !flag.isEmpty { return (flag, "--\(name)") }
    guard let definition = Settings.table.first(where: { $0.name == name }) else { return nil }
    if let text = environment[definition.variable], !text.isEmpty { return (text, definition.variable) }
    if let file, let entry = file.entries[name], !entry.value.isEmpty {
      return (entry.value, "\(file.path):\(entry.line): \(name)")
    }
    return nil
  }

  func text(_ name: String) -> String? { find(name)?.text }

  /// What to call the place that a setting comes from.
  func source(_ name: String) -> String? { find(name)?.source }

  /// Notes what is wrong with something that is no setting of the table, or must not be shown.
  mutating func refuse(_ problem: String) { problems.append(problem) }

  mutating func number(_ name: String, in range: ClosedRange<Int>) -> Int? {
    guard let text = text(name) else { return nil }
    if let number = Int(text), range.contains(number) { return number }
    refuse(name, text, "a number from \(range.lowerBound) to \(range.upperBound)")
    return nil
  }

  /// A number of things; 0 is any number.
  mutating func limit(_ name: String, default standard: Int?) -> Int? {
    guard let limit = number(name, in: 0...1_000_000_000) else { return standard }
    return limit == 0 ? nil : limit
  }

  /// Hours; 0 is for ever.
  mutating func hours(_ name: String, default standard: Duration?) -> Duration? {
    guard let hours = number(name, in: 0...876_000) else { return standard }
    return hours == 0 ? nil : .seconds(hours * 3600)
  }

  /// The largest size that a setting may have: more than any machine has, and small enough to be multiplied.
  private static let largestSize = 1 << 50

  /// Bytes.
  mutating func size(_ name: String, atLeast minimum: Int) -> Int? {
    guard let text = text(name) else { return nil }
    if let size = ByteCount(argument: text)?.bytes, (minimum...Self.largestSize).contains(size) { return size }
    refuse(name, text, "a size such as 512MiB, from \(minimum) bytes to 1024TiB")
    return nil
  }

  mutating func flag(_ name: String) -> Bool? {
    guard let text = text(name) else { return nil }
    if let flag = Bool(text) { return flag }
    refuse(name, text, "true or false")
    return nil
  }

  mutating func choice<Value: RawRepresentable<String> & CaseIterable>(_ name: String) -> Value? {
    guard let text = text(name) else { return nil }
    if let value = Value(rawValue: text) { return value }
    refuse(name, text, "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
    return nil
  }

  /// Notes that a value cannot be used, under the name of the place it comes from.
  mutating func refuse(_ name: String, _ value: String, _ expected: String) {
    problems.append("\(find(name)?.source ?? name) is \(value), but must be \(expected)")
  }
}
