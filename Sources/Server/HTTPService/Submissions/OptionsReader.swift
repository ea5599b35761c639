import API
import Core

/// Reads the `options` of a submission and names everything that is wrong with them.
struct OptionsReader {
  private(set) var options = ConversionOptions()
  private(set) var findings = Findings()

  /// Reads the object. `target` is nil when the submission names no format; then nothing is checked against it.
  init(_ value: JSONTree?, command: ConversionRequest.Command?, target: Format?) {
    switch value {
    case nil, .null: break
    case .object(let members):
      for (name, value) in members.sorted(by: { $0.key < $1.key }) {
        if let message = read(name, value) { refuse(name, message) }
      }
    default: findings.append(.init(field: "options", "options must be an object"))
    }
    guard let target, command == .convert else { return }
    for problem in options.problems(target: target) { refuse(problem.option, problem.message) }
  }

  private mutating func refuse(_ name: String, _ message: String) {
    findings.append(.init(field: "options.\(name)", "options.\(name): \(message)"))
  }

  /// Takes one member over; what is wrong with it, or nil.
  private mutating func read(_ name: String, _ value: JSONTree) -> String? {
    switch name {
    case "drop_unmatched_keys": flag(value, \.dropUnmatchedKeys)
    case "allow_incomplete": flag(value, \.allowIncomplete)
    case "output_format": choice(value) { $0.outputFormat = $1 }
    case "max_shard_size": byteCount(value)
    case "one_checkpoint": flag(value, \.oneCheckpoint)
    case "dtype": choice(value) { $0.dtype = $1 }
    case "verify": flag(value, \.verify)
    case "stream": flag(value, \.stream)
    default: "there is no option \(name)"
    }
  }

  private mutating func flag(_ value: JSONTree, _ path: WritableKeyPath<ConversionOptions, Bool>) -> String? {
    guard case .bool(let flag) = value else { return "it must be true or false" }
    options[keyPath: path] = flag
    return nil
  }

  /// A name of an enumeration; null is the default.
  private mutating func choice<Value: RawRepresentable<String> & CaseIterable>(
    _ value: JSONTree, _ take: (inout ConversionOptions, Value) -> Void
  ) -> String? {
    if case .null = value { return nil }
    guard case .string(let text) = value, let choice = Value(rawValue: text) else {
      return "it must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
    }
    take(&options, choice)
    return nil
  }

  /// A number of bytes, or a text such as `10GB`. 0 asks for one file.
  private mutating func byteCount(_ value: JSONTree) -> String? {
    switch value {
    case .null: return nil
    case .number(let number) where number >= 0 && number < 0x1p60 && number.rounded() == number:
      options.maxShardSize = Int(number)
    case .string(let text):
      guard let count = ByteCount(argument: text) else { fallthrough }
      options.maxShardSize = count.bytes
    default: return "it must be a number of bytes, such as 5000000000, \"5GB\" or \"512MiB\", or 0 for one file"
    }
    return nil
  }
}
