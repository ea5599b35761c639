import Glibc
import SystemPackage

/// A folder that holds a folder for each component of a model.
struct ComponentFolders {
  let path: String
  /// The components, in the order of the model.
  let names: [String]

  /// The components in a folder; nil for a folder that is a checkpoint or a config by itself.
  ///
  /// A folder inside is a component when it holds a `config.json` or weights. Throws `.unreadableInput` when components of
  /// the model are missing or others are there.
  init?(_ path: String, of model: Model?) throws(ConversionError) {
    if let model, model.components.isEmpty { return nil }
    let found = try CheckpointFolder(path: path).components()
    let known = Set((model.map { [$0] } ?? Catalogue.models).flatMap(\.components).map(\.name))
    let hasOne = found.contains(where: known.contains)
    let isModel = CheckpointFolder.isModel(path)
    guard model == nil ? hasOne && !isModel : hasOne || !isModel else { return nil }
    names = try Self.check(found, of: model, in: path)
    self.path = path
  }

  /// The components in the order of the model, or of the first model that is made of them. Throws `.unreadableInput` when
  /// some are missing or unknown.
  static func check(_ names: [String], of model: Model?, in folder: String?) throws(ConversionError) -> [String] {
    let composed = (model.map { [$0] } ?? Catalogue.models).filter { !$0.components.isEmpty }
    let place = folder ?? "The request"
    func parts(_ model: Model) -> [String] { model.components.map(\.name) }
    func list(_ names: [String]) -> String { names.map { "'\($0)'" }.joined(separator: " and ") }
    if let fitting = composed.first(where: { Set(parts($0)) == Set(names) }) { return parts(fitting) }
    guard
      let nearest = composed.max(by: { left, right in
        parts(left).count(where: names.contains) < parts(right).count(where: names.contains)
      })
    else {
      throw ConversionError(
        .usage, "\(place) has inputs for components, but \(model?.name ?? "the model") is one checkpoint.")
    }
    let made = "\(nearest.name) is made of \(list(parts(nearest)))"
    if let missing = parts(nearest).first(where: { !names.contains($0) }),
      model != nil || names.contains(where: parts(nearest).contains)
    {
      throw ConversionError(
        .unreadableInput,
        "\(place) has no component '\(missing)': \(made), a folder for each with its config.json and weights.")
    }
    let unknown = names.filter { !parts(nearest).contains($0) }
    if model == nil, unknown.count == names.count {
      throw ConversionError(.unreadableInput, "\(place): no model is made of the components \(list(names)).")
    }
    throw ConversionError(.unreadableInput, "\(place): \(list(unknown)) is no component: \(made).")
  }

  private func folder(_ name: String) -> FilePath { FilePath(path).appending(name) }

  /// The config of each component. Throws `.unreadableInput` when one has none.
  func configs() throws(ConversionError) -> [(component: String, path: String)] {
    var configs: [(component: String, path: String)] = []
    for name in names {
      let config = folder(name).appending("config.json").string
      guard access(config, F_OK) == 0 else {
        throw ConversionError(.unreadableInput, "\(folder(name)) holds no config.json, which each component needs.")
      }
      configs.append((name, config))
    }
    return configs
  }

  /// The folder of each component's checkpoint.
  func checkpoints() -> [(component: String, paths: [String])] { names.map { ($0, [folder($0).string]) } }
}
