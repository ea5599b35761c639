import OrderedCollections

/// Every model that Zooport knows. One explicit array: nothing registers itself.
package enum Catalogue {
  /// The families, in the order of `list`.
  package static let all: [Family] = [
    .bert, .bloom, .btlm, .clipVision, .codegen, .dpo, .dragon, .esm2, .falcon, .gemma2, .gpt2, .gptj, .gptNeoX, .llama,
    .llava, .mixtral,
    .roberta, .santaCoder, .starCoder, .t5,
  ]

  /// Every model, in the order of `list`.
  package static var models: [Model] { all.flatMap(\.models) }

  /// The model of this name or alias, letter case aside.
  package static func model(named name: String) -> Model? {
    let name = name.lowercased()
    return models.first { $0.names.contains { $0.lowercased() == name } }
  }

  /// What `list`, `GET /v1/models` and the documentation say.
  package static var listings: [ModelListing] { models.map(ModelListing.init) }

  /// What they say of one model, found by name or alias.
  package static func listing(named name: String) -> ModelListing? { model(named: name).map(ModelListing.init) }

  /// The way from one format of a model to another, for a config of the source format.
  ///
  /// Only models that are a choice look at the config. Throws `.usage` for text that is no format, and for a layout that
  /// the model does not have in Hugging Face; `.unknownModel`; `.unsupportedPair` with the formats that exist; and what
  /// `Model.meant` throws.
  package static func route(
    model name: String, from source: String, to target: String, config: ConfigObject = [:],
    layout: HuggingFaceLayout = .folders
  ) throws(ConversionError) -> Route {
    guard let model = model(named: name) else {
      throw ConversionError(
        .unknownModel,
        "There is no model '\(name)'. Known models: \(models.map(\.name).joined(separator: ", ")).")
    }
    let known = model.formats.map(\.description).joined(separator: ", ")
    guard let from = Format(source) else {
      throw ConversionError(.unsupportedPair, "'\(source)' is no source format. \(model.name) has: \(known).")
    }
    guard let to = model.format(target: target) else {
      throw ConversionError(.unsupportedPair, "'\(target)' is no target format. \(model.name) has: \(known).")
    }
    let refusal = ConversionError(
      .unsupportedPair, "\(model.name) does not convert from \(source) to \(target). Its formats are: \(known).")
    guard from != to, model.formats.contains(from), model.formats.contains(to) else { throw refusal }
    guard layout == .folders || !model.packedBridges.isEmpty else {
      let packed = models.filter { !$0.packedBridges.isEmpty }.map(\.name).joined(separator: " and ")
      throw ConversionError(
        .usage,
        "transformers has one layout for \(model.name) only. One checkpoint for several components is for \(packed).")
    }
    let meant = try model.meant(by: config, in: from)
    guard let route = Route(model: meant, named: name, source: from, target: to, layout: layout) else { throw refusal }
    return route
  }
}
