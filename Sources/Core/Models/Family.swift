/// Models that share parts, declared in one file: see `GPT2.swift` for the pattern.
package struct Family: Sendable {
  package let name: String
  package let models: [Model]

  package init(_ name: String, _ models: [Model]) {
    self.name = name
    self.models = models
  }
}

/// One name that `--model` takes, with everything that is known of its layouts.
///
/// The layouts form a ladder of releases; each `Revision` is the step from the release before it. A `Bridge` connects
/// Hugging Face with a range of releases. Every pair of formats is a walk along these: a bridge that covers the release
/// is the only hop, else the nearest bridge and the steps between.
package struct Model: Sendable {
  /// Another name that `--model` takes.
  struct Alias: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The name, in the spelling that listings show.
    let name: String
    /// The name of its class in the Model Zoo's registry; nil is the model's own.
    let zooName: String?

    init(_ name: String, zooName: String? = nil) {
      self.name = name
      self.zooName = zooName
    }

    /// An alias whose class has the model's own name.
    init(stringLiteral name: String) { self.init(name) }
  }

  /// The name that `--model` takes.
  package let name: String
  /// The name of the class in the Model Zoo's registry, which params files from cs-2.4 on hold as `model.name`.
  let zooName: String
  /// Other names that `--model` takes.
  let aliases: [Alias]
  /// The ways between Hugging Face and releases, oldest first; empty for a model that Hugging Face does not have.
  let bridges: [Bridge]
  /// The same for the layout of transformers that keeps a composed model in one checkpoint; empty where there is none.
  let packedBridges: [Bridge]
  /// The releases and the steps between them.
  let ladder: Ladder
  /// The pairs of releases that the vendor's tools offer; Zooport composes the others.
  let offered: OfferedUpgrades
  /// The class that holds the state dict in the Model Zoo.
  let csClass: String
  /// A caveat that holds for every pair between Hugging Face and the Model Zoo.
  let caveat: String?
  /// The models that the name stands for where only the config says which one is meant; nil for a model of its own.
  let choice: ModelChoice?

  init(
    _ name: String, zooName: String? = nil, aliases: [Alias] = [], csClass: String, caveat: String? = nil,
    ladder: Ladder, offered: OfferedUpgrades = .none, bridges: [Bridge], packedBridges: [Bridge] = []
  ) {
    self.name = name
    self.zooName = zooName ?? name
    self.aliases = aliases
    self.csClass = csClass
    self.caveat = caveat
    self.ladder = ladder
    self.offered = offered
    self.bridges = bridges
    self.packedBridges = packedBridges
    choice = nil
  }

  /// One name for several models with the same formats, of which the config names one.
  init(_ name: String, csClass: String, caveat: String, offered: OfferedUpgrades, choice: ModelChoice) {
    self.name = name
    zooName = name
    aliases = []
    self.csClass = csClass
    self.caveat = caveat
    ladder = choice.models[0].model.ladder
    self.offered = offered
    bridges = []
    packedBridges = []
    self.choice = choice
  }

  /// All releases of the ladder, oldest first.
  var releases: [Release] { ladder.releases }

  /// The models that the name stands for: one unless it is a choice.
  var alternatives: [Model] { choice?.models.map(\.model) ?? [self] }

  /// All formats, Hugging Face first if there is a bridge.
  package var formats: [Format] { (alternatives[0].bridges.isEmpty ? [] : [.hf]) + releases.map(Format.cs) }

  /// The name in the Model Zoo's registry of the model under a name that `--model` took.
  func zooName(requested name: String) -> String {
    aliases.first { $0.name.lowercased() == name.lowercased() }?.zooName ?? zooName
  }

  /// The parts that Hugging Face keeps in a folder each; empty for a model that is one checkpoint there.
  package var components: [Component] { bridges.first?.folders ?? [] }

  /// The ways between Hugging Face and releases for a layout of Hugging Face.
  func bridges(_ layout: HuggingFaceLayout) -> [Bridge] { layout == .oneCheckpoint ? packedBridges : bridges }

  /// The bridge that covers a release.
  func bridge(covering release: Release) -> Bridge? { bridges.first { $0.covers.contains(release) } }
}

extension Model {
  /// Every name that `--model` takes.
  package var names: [String] { [name] + aliases.map(\.name) }

  /// Reads a target: a format, or `cs-current` for the newest release of the model.
  func format(target text: String) -> Format? {
    text == Format.newestKeyword ? releases.last.map(Format.cs) : Format(text)
  }

  /// True when the vendor's tool of some release lists this pair.
  func toolOffers(_ source: Format, _ target: Format) -> Bool {
    switch (source, target) {
    case (.hf, .cs(let release)), (.cs(let release), .hf):
      alternatives[0].bridge(covering: release)?.isOffered == true && release.plain < Release(2, 10)
    case (.cs(let first), .cs(let second)): offered.contains(first, second, of: releases)
    case (.hf, .hf): false
    }
  }
}
