import OrderedCollections
import SystemPackage

/// The inputs of one component of a composed model.
package struct ComponentInput: Sendable, Hashable {
  /// The name of the component, which is that of its folder.
  package var name: String
  /// Path of its config; nil where the request has one config for all components.
  package var config: String?
  /// Paths of its checkpoint, as in a request; empty for `convert-config`.
  package var checkpoint: [String]

  /// The inputs of a component.
  package init(_ name: String, config: String? = nil, checkpoint: [String] = []) {
    self.name = name
    self.config = config
    self.checkpoint = checkpoint
  }
}

/// The files that a request means: those of one model, or of each component of one.
///
/// A composed model of Hugging Face is a folder that holds a folder for each component. A request may name it as config, as
/// checkpoint, or as both.
struct RequestInputs {
  /// A config, and the component that it is of; an empty name is the whole model.
  let configs: [(component: String, path: String)]
  /// A checkpoint, and the component that it is of; empty where there is none.
  let checkpoints: [(component: String, paths: [String])]
  /// Names of outputs derive from this where there is a config for each component.
  let configStem: FilePath?
  /// The same for checkpoints.
  let checkpointStem: FilePath?

  /// What the inputs of a component are called, in reports and messages: `image_model/config.json`.
  static func name(_ path: String, of component: String) -> String {
    let file = ConversionReport.name(path)
    return component.isEmpty ? file : "\(component)/\(file)"
  }

  /// Finds the files. Lists folders, reads nothing.
  ///
  /// Throws `.unreadableInput` for a folder that lacks a component of the model or its config, or that has one which the
  /// model does not know; `.usage` for inputs that mean nothing.
  init(_ request: ConversionRequest) throws(ConversionError) {
    let model = Catalogue.model(named: request.model)
    let isHuggingFace = Format(request.sourceFormat).map { !$0.isCS } ?? true
    guard request.components.isEmpty else {
      // Outputs do not depend on the order of the request.
      let names = try ComponentFolders.check(request.components.map(\.name), of: model, in: nil)
      let components = names.compactMap { name in request.components.first { $0.name == name } }
      let configs = components.compactMap { part in part.config.map { (part.name, $0) } }
      guard configs.isEmpty || configs.count == names.count else {
        let missing = components.first { $0.config == nil }?.name ?? ""
        throw ConversionError(.unreadableInput, "The component '\(missing)' has no config.json.")
      }
      self.configs = configs.isEmpty ? [("", request.config)] : configs
      let checkpoints = components.filter { !$0.checkpoint.isEmpty }.map { ($0.name, $0.checkpoint) }
      if let missing = components.first(where: { $0.checkpoint.isEmpty }), !checkpoints.isEmpty {
        throw ConversionError(.unreadableInput, "The component '\(missing.name)' has no checkpoint.")
      }
      self.checkpoints =
        checkpoints.isEmpty && !request.checkpoint.isEmpty ? [("", request.checkpoint)] : checkpoints
      configStem = configs.isEmpty ? nil : "config"
      checkpointStem = checkpoints.isEmpty ? nil : Self.checkpointStem(beside: "")
      return
    }

    var configs = [(component: "", path: request.config)]
    var configStem: FilePath?
    if !request.files.holds(request.config), CheckpointFolder.isFolder(request.config) {
      let folder = FilePath(request.config)
      if let parts = isHuggingFace ? try ComponentFolders(request.config, of: model) : nil {
        configs = try parts.configs()
        configStem = folder.removingLastComponent().appending("config")
      } else if isHuggingFace {
        configs = [("", folder.appending("config.json").string)]
        configStem = folder.appending("config")
      }
    }
    var checkpoints = request.checkpoint.isEmpty ? [] : [(component: "", paths: request.checkpoint)]
    var checkpointStem: FilePath?
    if request.checkpoint.count == 1, isHuggingFace, !request.files.holds(request.checkpoint[0]),
      CheckpointFolder.isFolder(request.checkpoint[0]),
      let parts = try ComponentFolders(request.checkpoint[0], of: model)
    {
      checkpoints = parts.checkpoints()
      checkpointStem = Self.checkpointStem(beside: FilePath(request.checkpoint[0]).removingLastComponent())
    }
    self.configs = configs
    self.checkpoints = checkpoints
    self.configStem = configStem
    self.checkpointStem = checkpointStem
  }

  /// The tool of release 2.10 calls what it makes of components after the standard name of a checkpoint.
  private static func checkpointStem(beside folder: FilePath) -> FilePath {
    folder.appending(OutputFormat.bin.standardStem)
  }

  /// The configs with what reports call them.
  var namedConfigs: [(name: String, path: String)] { configs.map { (Self.name($0.path, of: $0.component), $0.path) } }

  /// Reads the config, or the configs of all components as one. Throws as `ConfigDocument.load` does.
  func config(
    syntax: ConfigDocument.Syntax?, limits: Limits, files: InputFiles
  ) throws(ConversionError) -> (root: ConfigObject, warnings: [Diagnostic]) {
    var root = ConfigObject()
    var warnings: [Diagnostic] = []
    for (component, path) in configs {
      let document = try ConfigDocument.load(
        path: path, syntax: component.isEmpty ? syntax : .json, limits: limits, files: files)
      warnings += document.warnings
      if component.isEmpty { root = document.root } else { root[component] = .object(document.root) }
    }
    return (root, warnings)
  }

  /// Opens the checkpoint; nil where there is none. Throws as `CheckpointInput` does.
  func checkpoint(
    limits: Limits, cacheBytes: Int, files: InputFiles
  ) throws(ConversionError) -> CheckpointInput? {
    guard let checkpointStem else {
      guard let only = checkpoints.first else { return nil }
      return try CheckpointInput(paths: only.paths, limits: limits, cacheBytes: cacheBytes, files: files)
    }
    var parts: [(name: String, input: CheckpointInput)] = []
    for (component, paths) in checkpoints {
      parts.append(
        (
          component,
          try CheckpointInput(
            paths: paths, limits: limits, cacheBytes: cacheBytes / checkpoints.count, files: files)
        ))
    }
    return CheckpointInput(components: parts, stem: checkpointStem)
  }
}
