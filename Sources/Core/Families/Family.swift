public import OrderedCollections
import Synchronization

/// Models that share parts, declared in one file: see `GPT2.swift` for the pattern.
public struct Family: Sendable {
  /// Name of the family.
  public let name: String
  /// Its models.
  public let models: [Model]

  /// A family.
  public init(_ name: String, _ models: [Model]) {
    self.name = name
    self.models = models
  }
}

/// One name that `--model` takes, with everything that is known of its layouts.
///
/// The layouts form a ladder of releases; each `Revision` is the step from the release before it. A `Bridge` connects
/// Hugging Face with a range of releases. Every pair of formats is a walk along these: a bridge that covers the release
/// is the only hop, else the nearest bridge and the steps between.
public struct Model: Sendable {
  /// Another name that `--model` takes.
  public struct Alias: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The name, in the spelling that listings show.
    public let name: String
    /// The name of its class in the Model Zoo's registry; nil is the model's own.
    public let zooName: String?

    /// An alias.
    public init(_ name: String, zooName: String? = nil) {
      self.name = name
      self.zooName = zooName
    }

    /// An alias whose class has the model's own name.
    public init(stringLiteral name: String) { self.init(name) }
  }

  /// The name that `--model` takes.
  public let name: String
  /// The name of the class in the Model Zoo's registry, which params files from cs-2.4 on hold as `model.name`.
  public let zooName: String
  /// Other names that `--model` takes.
  public let aliases: [Alias]
  /// The ways between Hugging Face and releases, oldest first; empty for a model that Hugging Face does not have.
  public let bridges: [Bridge]
  /// The same for the layout of transformers that keeps a composed model in one checkpoint; empty where there is none.
  public let packedBridges: [Bridge]
  /// The releases and the steps between them.
  public let ladder: Ladder
  /// The pairs of releases that the vendor's tools offer; Zooport composes the others.
  public let offered: OfferedUpgrades
  /// The class that holds the state dict in the Model Zoo.
  public let csClass: String
  /// A caveat that holds for every pair between Hugging Face and the Model Zoo.
  public let caveat: String?
  /// The models that the name stands for where only the config says which one is meant; nil for a model of its own.
  public let choice: ModelChoice?

  /// A model.
  public init(
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
  public var releases: [Release] { ladder.releases }

  /// The models that the name stands for: one unless it is a choice.
  public var alternatives: [Model] { choice?.models.map(\.model) ?? [self] }

  /// All formats, Hugging Face first if there is a bridge.
  public var formats: [Format] { (alternatives[0].bridges.isEmpty ? [] : [.hf]) + releases.map(Format.cs) }

  /// The name in the Model Zoo's registry of the model under a name that `--model` took.
  public func zooName(requested name: String) -> String {
    aliases.first { $0.name.lowercased() == name.lowercased() }?.zooName ?? zooName
  }

  /// The parts that Hugging Face keeps in a folder each; empty for a model that is one checkpoint there.
  public var components: [Component] { bridges.first?.folders ?? [] }

  /// The ways between Hugging Face and releases for a layout of Hugging Face.
  public func bridges(_ layout: HuggingFaceLayout) -> [Bridge] { layout == .oneCheckpoint ? packedBridges : bridges }

  /// The bridge that covers a release.
  public func bridge(covering release: Release) -> Bridge? { bridges.first { $0.covers.contains(release) } }
}

/// The rules between Hugging Face (left) and a range of releases (right).
public struct Bridge: Sendable {
  /// The releases on the right.
  public private(set) var covers: ClosedRange<Release>
  /// The class that holds the state dict in transformers; for a composed model those of its parts.
  public let hfClass: String
  /// The `model_type`s of the Hugging Face config; the first is the one that is written. A model that is a folder for each
  /// component has none as a whole.
  public let modelTypes: [String]
  /// The parts of a composed model.
  public let components: [Component]
  /// Files that go with the Hugging Face checkpoint and follow from its config.
  public let documents: [DerivedDocument]
  /// What muP training and sparsity left in a Model Zoo checkpoint and Hugging Face has no words for.
  private let folds: [Fold]
  private let muP: @Sendable (Release) -> MuPSupport
  /// What params files of the Model Zoo keep outside the model's section.
  private let outside: [OutsideKey]
  /// What rules see of a Hugging Face config, where some configs have what they mean in another place.
  private let reading: @Sendable (ConfigObject) -> ConfigObject
  private let tensors: @Sendable (Release) -> [Rule]
  private let config: @Sendable (Release) -> [ConfigRule]
  /// What the releases put around the model; nil for nothing.
  private var frame: ModelFrame?
  private var made = MadeCrossings()

  /// A bridge. The closures get the release that is converted from or to. Without `muP`, muP models are refused, and no
  /// component may be one.
  public init(
    covers: ClosedRange<Release>, hfClass: String, modelTypes: [String], components: [Component] = [],
    documents: [DerivedDocument] = [], folds: [Fold] = [],
    muP: @escaping @Sendable (Release) -> MuPSupport = { _ in .refused }, outside: [OutsideKey] = [],
    reading: @escaping @Sendable (ConfigObject) -> ConfigObject = { $0 },
    tensors: @escaping @Sendable (Release) -> [Rule], config: @escaping @Sendable (Release) -> [ConfigRule]
  ) {
    self.covers = covers
    self.hfClass = hfClass
    self.modelTypes = modelTypes
    self.components = components
    self.documents = documents
    self.folds = folds
    self.muP = muP
    self.outside = outside
    self.reading = reading
    self.tensors = tensors
    self.config = config
  }

  /// A bridge of a model that is a folder for each component in Hugging Face.
  public init(
    covers: ClosedRange<Release>, folders components: [Component], documents: [DerivedDocument] = [],
    folds: [Fold] = [], reading: @escaping @Sendable (ConfigObject) -> ConfigObject = { $0 },
    tensors: @escaping @Sendable (Release) -> [Rule], config: @escaping @Sendable (Release) -> [ConfigRule]
  ) {
    self.init(
      covers: covers, hfClass: components.map(\.hfClass).joined(separator: " + "), modelTypes: [],
      components: components, documents: documents, folds: folds, reading: reading, tensors: tensors, config: config)
  }

  /// The components that are a folder each; empty for one checkpoint.
  public var folders: [Component] { modelTypes.isEmpty ? components : [] }

  /// What is folded into the weights of a checkpoint of a release on the way to Hugging Face, in this order.
  public func folds(at release: Release) -> [Fold] {
    let own = [muP(frame?.layout ?? release).fold].compactMap(\.self)
    let all = own + components.flatMap { part in own.map { $0.inside(part.section) } } + folds
    return frame.map { frame in all.map { $0.under(frame.prefix) } } ?? all
  }

  /// The same bridge to releases that put something around the model.
  func framed(_ frame: ModelFrame, covers: ClosedRange<Release>) -> Bridge {
    var bridge = self
    bridge.frame = frame
    bridge.covers = covers
    bridge.made = MadeCrossings()
    return bridge
  }

  /// The rules for one release. `zooName` is what the release's params file calls the model.
  ///
  /// Rules that every model of Hugging Face shares exist for the keys that the model's own rules do not mention. They are
  /// made once, as detection asks for those of many models.
  public func crossing(at release: Release, zooName: String) -> Crossing {
    made.crossing(at: release, zooName: zooName) { makeCrossing(at: release, zooName: zooName) }
  }

  private func makeCrossing(at release: Release, zooName: String) -> Crossing {
    let layout = frame?.layout ?? release
    let own =
      config(layout) + Crossing.releaseConfig(layout, zooName: zooName, modelTypes: modelTypes) + (frame?.config ?? [])
    let known = Side.allCases.map { side in (side, Set(own.flatMap { $0.claimedKeys(on: side) })) }
    let everywhere = ConfigRule.ofEveryModel + muP(layout).neutralKeys
    let inside = everywhere + Crossing.precision(layout)
    let parts = components.flatMap { part in
      (Crossing.type(part.modelTypes) + inside).map { $0.under(left: part.name, right: part.section) }
    }
    let shared = (everywhere + parts).filter { rule in
      known.allSatisfy { side, keys in keys.isDisjoint(with: rule.claimedKeys(on: side)) }
    }
    var rules = tensors(layout)
    if let frame { rules = Scope("", frame.prefix) { rules }.rules + frame.tensors }
    return Crossing(
      release: release, header: header, folders: folders.map(\.name), hfClass: hfClass, documents: documents,
      tensors: rules, config: own + shared, outside: outside, reading: reading, nesting: frame?.nesting)
  }
}

extension Bridge {
  /// What `AutoModel.from_pretrained` needs to find the class of a Hugging Face config.
  fileprivate var header: ConfigObject {
    func labels(_ hfClass: String, _ types: [String]) -> ConfigObject {
      ["architectures": .array([.string(hfClass)]), "model_type": .string(types.first ?? "")]
    }
    guard modelTypes.isEmpty else {
      var header = labels(hfClass, modelTypes)
      for part in components { header[part.name] = ["model_type": .string(part.modelTypes.first ?? "")] }
      return header
    }
    return ConfigObject(
      uniqueKeysWithValues: components.map { ($0.name, .object(labels($0.hfClass, $0.modelTypes))) })
  }
}

/// The crossings of a bridge that were asked for. Shared by the copies of a bridge; safe to use from several threads.
private final class MadeCrossings: Sendable {
  private struct Key: Hashable {
    let release: Release
    let zooName: String
  }

  private let crossings = Mutex<[Key: Crossing]>([:])

  func crossing(at release: Release, zooName: String, make: () -> Crossing) -> Crossing {
    let key = Key(release: release, zooName: zooName)
    if let made = crossings.withLock({ $0[key] }) { return made }
    let crossing = make()
    crossings.withLock { $0[key] = crossing }
    return crossing
  }
}

/// The rules between Hugging Face (left) and one release (right).
public struct Crossing: Sendable {
  /// The release on the right.
  public let release: Release
  /// What labels a Hugging Face config: the class and the type of the model, or of each component.
  public let header: ConfigObject
  /// The components that are a folder each in Hugging Face; empty for one checkpoint.
  public let folders: [String]
  /// The class that holds the state dict in transformers.
  public let hfClass: String
  /// Files that go with the Hugging Face checkpoint and follow from its config.
  public let documents: [DerivedDocument]
  /// Tensor rules.
  public let tensors: [Rule]
  /// Config rules.
  public let config: [ConfigRule]
  /// What params files of the Model Zoo keep outside the model's section; config rules see it inside.
  public let outside: [OutsideKey]
  /// What rules see of a Hugging Face config.
  public let reading: @Sendable (ConfigObject) -> ConfigObject
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

/// What one release changed: the rules between the release before it (left) and itself (right).
public struct Revision: Sendable {
  /// What becomes of the entries beside the state dict: optimizer, learning rate scheduler, step.
  public enum Entries: Sendable, Hashable {
    /// They are carried along.
    case keep
    /// They are left out, because the layout changed too much; the reason is a warning.
    case drop(reason: String)
  }

  /// The release on the right.
  public private(set) var release: Release
  /// Tensor rules.
  public private(set) var tensors: [Rule]
  /// Config rules of the model's section; keys without a rule pass unchanged.
  public let config: [ConfigRule]
  /// True when the tensor rules cover every key; false when keys without a rule pass unchanged.
  public let coversAllKeys: Bool
  /// The side whose keys never have the optional prefix `model.`, so that going there takes it off; nil for none.
  public let bareSide: Side?
  /// What becomes of the other entries.
  public let entries: Entries
  /// What the release changed in the other entries, where they are kept.
  public let entryRules: [EntryRule]
  /// What the release changed in the params document around the model's section.
  public private(set) var document: [DocumentRule]

  /// A revision. Documents and entries change with a release in the same way for every model.
  public init(
    _ release: Release, coversAllKeys: Bool = false, bareSide: Side? = nil, entries: Entries = .keep,
    tensors: [Rule] = [], config: [ConfigRule] = []
  ) {
    entryRules = ModelZooDocuments.entries(of: release)
    document = ModelZooDocuments.rules(of: release)
    self.release = release
    self.tensors = tensors
    self.config = config
    self.coversAllKeys = coversAllKeys
    self.bareSide = bareSide
    self.entries = entries
  }

  /// What the release changed, in a variant of it that keeps the model under each of some prefixes and changed more of
  /// the document.
  func framed(under prefixes: [KeyPattern], as variant: Release.Variant, document more: [DocumentRule]) -> Revision {
    var revision = self
    revision.document += more
    revision.release = Release(release.major, release.minor, variant)
    revision.tensors = prefixes.flatMap { prefix in Scope(prefix, prefix) { tensors }.rules }
    return revision
  }
}
