import API
import Core

/// The folders that the inputs of a job may be in: those of the components of its model, one level and no other.
struct ComponentNames: Sendable {
  /// A name or a component that cannot be meant.
  struct Refused: Error {
    let reason: String
  }

  /// The model, as the submission names it.
  let model: String
  /// Folders that the model has in the source format; of every model where none is named.
  let folders: [String]
  /// The model is found by its inputs.
  private let isOpen: Bool

  /// The folders of a model. A checkpoint of the Model Zoo has none.
  init(model: String, source: String) {
    self.model = model
    let known = Catalogue.model(named: model)
    isOpen = known == nil
    let hasFolders = Format(source).map { !$0.isCS } ?? true
    folders = !hasFolders ? [] : known.map { $0.components.map(\.name) } ?? Self.all
  }

  /// The folders of all models, each once.
  static let all: [String] = {
    var names: [String] = []
    for name in Catalogue.models.flatMap(\.components).map(\.name) where !names.contains(name) { names.append(name) }
    return names
  }()

  /// What a client is told when the name of an upload is refused.
  static let rule = FileName.rule + "; one folder may stand before it: \(all.joined(separator: ", "))"

  /// The name of an upload, which may have the folder of a component; nil when it is refused. Which model it is for is not
  /// known yet.
  static func upload(_ text: String) -> FileName? {
    guard let name = FileName.output(text), FileName(name.file) != nil, name.component.map(all.contains) ?? true else {
      return nil
    }
    return name
  }

  /// The component that an input says it is of; nil stays nil. Throws `Refused` for one that the model does not have.
  func check(_ component: String?) throws(Refused) -> String? {
    guard let component, !folders.contains(component) else { return component }
    throw refusal(of: component)
  }

  /// The name of a file of a form. What is no path of this model is the file of some client's folder: its last part counts.
  ///
  /// Throws `Refused` for a path that is not exactly a folder of the model and a file.
  func file(_ path: String) throws(Refused) -> FileName {
    let parts = path.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }.map(String.init)
    let isMeant =
      parts.count > 1 && !folders.isEmpty
      && (!isOpen || parts.contains { part in folders.contains { $0 == part.lowercased() } })
    guard isMeant else {
      guard let name = FileName(parts.last { !$0.isEmpty } ?? path) else { throw Refused(reason: FileName.rule) }
      return name
    }
    guard parts.count == 2, !path.contains("\\"), folders.contains(parts[0]), let name = FileName(parts[1]) else {
      throw refusal(of: path)
    }
    return name.inside(parts[0])
  }

  private func refusal(of text: String) -> Refused {
    let given = "'\(text.prefix(200))'"
    guard let first = folders.first else {
      return Refused(
        reason: "\(given): \(model) is one checkpoint here and has no folders for components; name the file alone")
    }
    let owner = isOpen ? "models of components have" : "\(model) has"
    return Refused(
      reason:
        "\(given) is in no folder that the model has; \(owner) \(folders.joined(separator: ", ")), and a file is named "
        + "as \(first)/config.json")
  }
}
