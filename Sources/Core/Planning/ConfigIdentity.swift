import OrderedCollections

/// Whether a Hugging Face config is one of the model that it is converted as.
enum ConfigIdentity {
  /// Refuses a config that names another model.
  ///
  /// A config without `model_type` passes. Throws `.configNotConvertible`, with the models of the catalogue that have the
  /// type.
  static func check(_ config: ConfigObject, along route: Route) throws(ConversionError) {
    guard route.source == .hf else { return }
    let components = route.model.components
    if route.layout == .folders, !components.isEmpty {
      for part in components {
        if case .object? = config[part.name] { continue }
        let names = components.map { "'\($0.name)'" }.joined(separator: " and ")
        throw ConversionError(
          .configNotConvertible,
          "ConfigConversionError: the config has no component '\(part.name)': \(route.model.name) is made of \(names). "
            + "Name the folder that holds a folder for each.",
          diagnostics: [
            Diagnostic(
              .error, .configNotConvertible, .config(part.name), "The component '\(part.name)' has no config")
          ])
      }
    }
    guard case .string(let type)? = config["model_type"] else { return }
    let types = Set(route.model.bridges(route.layout).flatMap(\.modelTypes))
    guard !types.isEmpty, !types.contains(type) else { return }
    let others = Catalogue.models.filter { model in
      (model.bridges + model.packedBridges).contains { $0.modelTypes.contains(type) }
    }.map(\.name)
    let way =
      others.isEmpty
      ? "no model of the catalogue has this type" : "use --model \(others.joined(separator: " or --model "))"
    let expected = types.sorted().map { "'\($0)'" }.joined(separator: " or ")
    throw ConversionError(
      .configNotConvertible,
      "ConfigConversionError: the config has model_type '\(type.prefix(100))', but \(route.model.name) has \(expected): \(way).",
      diagnostics: [
        Diagnostic(
          .error, .configNotConvertible, .config("model_type"),
          "model_type '\(type.prefix(100))' is not a model_type of \(route.model.name): \(way)")
      ])
  }
}
