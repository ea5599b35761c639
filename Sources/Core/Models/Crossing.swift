import OrderedCollections

/// The rules between Hugging Face (left) and one release (right).
struct Crossing: Sendable {
  /// The release on the right.
  let release: Release
  /// What labels a Hugging Face config: the class and the type of the model, or of each component.
  let header: ConfigObject
  /// The components that are a folder each in Hugging Face; empty for one checkpoint.
  let folders: [String]
  /// The class that holds the state dict in transformers.
  let hfClass: String
  /// Files that go with the Hugging Face checkpoint and follow from its config.
  let documents: [DerivedDocument]
  let tensors: [Rule]
  let config: [ConfigRule]
  /// What params files of the Model Zoo keep outside the model's section; config rules see it inside.
  let outside: [OutsideKey]
  /// What only the tensors tell of a target's config. Their names are those of a model without a frame.
  let measurements: [Measurement]
  /// What rules see of a Hugging Face config.
  let reading: @Sendable (ConfigObject) -> ConfigObject
  /// Where params files may keep the model's keys inside the model's section; config rules see them beside the rest.
  var nesting: SectionNesting?

  /// The model's section of a params document as config rules see it. Throws what `ModelSection.find` throws.
  func section(of document: ConfigObject, format: Format) throws(ConversionError) -> ConfigObject {
    let section = try ModelSection.find(in: document, format: format)
    return outside.movedIn(to: nesting?.flattened(section) ?? section, from: document)
  }

  /// Config rules that hold for every model of a release.
  ///
  /// Facts: Model Zoo Release 1.8.0 and 2.10.0, `base_converter.py` of the checkpoint converters.
  @ConfigRulesBuilder static func releaseConfig(
    _ release: Release, zooName: String, modelTypes: [String]
  ) -> [ConfigRule] {
    if !modelTypes.isEmpty { type(modelTypes) }
    if release < Release(2, 0) {
      // Releases 1.x train in mixed precision by default.
      Fill(.cs, "mixed_precision", true)
    }
    precision(release)
    if release >= Release(2, 4) {
      Fill(.cs, "name", .string(zooName))
      Ignore(.cs, "name")
    }
  }

  /// The type that a Hugging Face config names.
  @ConfigRulesBuilder static func type(_ modelTypes: [String]) -> [ConfigRule] {
    Require(.hf, "model_type", modelTypes.map(ConfigValue.string))
  }

  /// The precision that a release trains in, of a model or a component.
  @ConfigRulesBuilder static func precision(_ release: Release) -> [ConfigRule] {
    if release >= Release(2, 1), release < Release(2, 4) {
      Key(
        "use_bfloat16", "fp16_type",
        forward: { (value, _) throws(ConfigFailure) in value.isTruthyInPython ? "bfloat16" : "float16" },
        backward: { (_, _) throws(ConfigFailure) in nil })
    } else {
      Ignore(.hf, "use_bfloat16")
      Ignore(.cs, "fp16_type", "use_bfloat16")
    }
  }
}
