import ArgumentParser
import Core
import Foundation
import SystemPackage

/// A component of a model and the place of its files, as `image_model=hub://OWNER/NAME`.
struct ComponentPlace: ExpressibleByArgument, Sendable, Hashable {
  /// The name of the component.
  let name: String
  /// A repository of a hub, or a folder with `config.json` and weights.
  let place: String

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    (name, place) = (parts[0], parts[1])
  }

  /// True for a place that is not on this machine.
  var isRemote: Bool { RemoteInputs.isRemote(place) }

  /// The inputs of a component that is a local folder. Throws `ValidationError` for what is no folder.
  func folder(_ command: ConversionRequest.Command) throws -> ComponentInput {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: place, isDirectory: &isFolder), isFolder.boolValue else {
      throw ValidationError(
        "--component \(name): '\(place)' is no folder. A component is a folder with its config.json and weights, or a "
          + "repository of a hub.")
    }
    return ComponentInput(
      name, config: FilePath(place).appending("config.json").string, checkpoint: command == .convert ? [place] : [])
  }
}

/// Where the components of a model are, if they are not folders in one folder.
struct ComponentOptions: ParsableArguments {
  @Option(
    name: .customLong("component"),
    help: ArgumentHelp(
      "A component of a model of several and where it is, instead of a folder with all of them: "
        + "image_model=hub://OWNER/NAME, or a folder. Once for each component.",
      valueName: "name=place"))
  var places: [ComponentPlace] = []

  /// Checks the names before anything is fetched. `others` are the inputs that were named beside them.
  ///
  /// Throws `ValidationError` for components that the model is not made of, and for inputs beside them.
  func check(_ formats: FormatOptions, others: [String]) throws {
    guard !places.isEmpty else { return }
    if let other = others.first {
      throw ValidationError("--component names the inputs; '\(other)' beside it is one too many.")
    }
    let names = places.map(\.name)
    if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
      throw ValidationError("--component names \(twice) twice.")
    }
    guard Format(formats.srcFmt).map({ !$0.isCS }) ?? true else {
      throw ValidationError(
        "--component is for models of Hugging Face; in \(formats.srcFmt) a model is one checkpoint.")
    }
    let known = Catalogue.model(named: formats.model)
    let models = (known.map { [$0] } ?? Catalogue.models).filter { !$0.components.isEmpty }
    if models.contains(where: { Set($0.components.map(\.name)) == Set(names) }) { return }
    guard let known, !known.components.isEmpty else {
      throw ValidationError(
        known.map { "--component is for models of several components; \($0.name) is one checkpoint." }
          ?? "No model is made of the components \(names.joined(separator: ", ")).")
    }
    throw ValidationError(
      "\(known.name) is made of \(known.components.map(\.name).joined(separator: " and ")); name each with --component."
    )
  }
}
