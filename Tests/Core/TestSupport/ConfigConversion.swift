import OrderedCollections
import Testing

@testable import Core

/// A config key that converts: what stands in the source and what comes out.
struct AcceptedKey: Sendable, CustomTestStringConvertible {
  let source: ConfigObject
  /// Keys of the target; nil under a key that must not be written.
  let target: OrderedDictionary<String, ConfigValue?>

  init(_ source: ConfigObject, _ target: OrderedDictionary<String, ConfigValue?>) {
    self.source = source
    self.target = target
  }

  var testDescription: String { "\(ConfigValue.object(source).pythonDescription)" }
}

/// A config key that must be refused, by name.
struct RefusedKey: Sendable, CustomTestStringConvertible {
  let key: String
  let value: ConfigValue

  init(_ key: String, _ value: ConfigValue) {
    self.key = key
    self.value = value
  }

  var testDescription: String { "\(key)=\(value.pythonDescription)" }
}

/// Both directions of the configs of one model.
struct ConfigConversion: Sendable {
  let model: String
  /// A Model Zoo section that converts; cases change it.
  let csBase: ConfigObject
  /// The release opposite Hugging Face.
  var release = "cs-1.8"

  /// The HF config for a Model Zoo section, the base changed by `changes`.
  func hf(_ changes: ConfigObject) throws(ConversionError) -> ConfigObject {
    let config: ConfigObject = ["model": .object(csBase.merging(changes) { _, new in new })]
    return try Planner.plan(
      config: config, along: Catalogue.route(model: model, from: release, to: "hf", config: config)
    ).config
  }

  /// The Model Zoo section for an HF config.
  func cs(_ config: ConfigObject) throws(ConversionError) -> ConfigObject {
    let plan = try Planner.plan(
      config: config, along: Catalogue.route(model: model, from: "hf", to: release, config: config))
    guard case .object(let section) = plan.config["model"] else { return [:] }
    return section
  }

  /// The Model Zoo section of one release for that of another.
  func upgraded(_ section: ConfigObject, from source: String, to target: String) throws(ConversionError) -> ConfigObject
  {
    let config: ConfigObject = ["model": .object(section)]
    let plan = try Planner.plan(
      config: config, along: Catalogue.route(model: model, from: source, to: target, config: config))
    guard case .object(let section) = plan.config["model"] else { return [:] }
    return section
  }

  /// Checks that what comes out of a source has the values of `accepted`, with their types.
  func check(_ output: ConfigObject, _ accepted: AcceptedKey) {
    for (key, value) in accepted.target { #expect(output[key] == value, "\(key)") }
  }

  /// Checks that a conversion ends with a config error that names the key.
  func checkRefusal(of key: String, _ body: () throws -> ConfigObject) {
    guard let error = conversionError(body) else { return }
    #expect(error.kind == .configNotConvertible)
    #expect(error.message.hasPrefix("ConfigConversionError: "))
    #expect(error.diagnostics.contains { $0.subject == .config(key) && $0.severity == .error }, "\(error.diagnostics)")
    #expect(error.message.contains(key))
  }
}

/// Plans a conversion of a checkpoint in memory.
func planned(
  _ model: String, from source: String, to target: String, config: ConfigObject, _ checkpoint: MemoryCheckpoint,
  options: Planner.Options = Planner.Options()
) throws -> Plan {
  try Planner.plan(
    config: config, checkpoint: checkpoint.tree,
    along: Catalogue.route(model: model, from: source, to: target, config: config),
    options: options)
}

/// Plans a conversion of a few tensors of a model, or of tensors of other shapes than a whole model has.
func plannedParts(
  _ model: String, from source: String, to target: String, config: ConfigObject, _ checkpoint: MemoryCheckpoint,
  options: Planner.Options = Planner.Options()
) throws -> Plan {
  var options = options
  options.allowIncomplete = true
  return try planned(model, from: source, to: target, config: config, checkpoint, options: options)
}
