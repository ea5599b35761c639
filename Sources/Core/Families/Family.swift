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
/// The layouts form a line of releases; each `Revision` is the step from the release before it. A `Bridge` connects
/// Hugging Face with one release of the line. Every pair of formats is a walk along these, over the nearest bridge.
public struct Model: Sendable {
  /// The name that `--model` takes.
  public let name: String
  /// Other names that `--model` takes.
  public let aliases: [String]
  /// The oldest release of the line.
  public let oldest: Release
  /// The ways between Hugging Face and a release, oldest first; empty for a model that Hugging Face does not have.
  ///
  /// One bridge is enough where the other releases follow from it. A release gets its own where its config says more
  /// than the older one can.
  public let bridges: [Bridge]
  /// The steps from release to release, oldest first.
  public let revisions: [Revision]
  /// The class that holds the state dict in the Model Zoo.
  public let csClass: String
  /// A caveat that holds for every pair between Hugging Face and the Model Zoo.
  public let caveat: String?
  /// True when the vendor's tool offers the pairs of two releases too; else Zooport composes them.
  public let toolOffersUpgrades: Bool

  /// A model.
  public init(
    _ name: String, aliases: [String] = [], csClass: String, caveat: String? = nil, toolOffersUpgrades: Bool = false,
    oldest: Release, bridge: Bridge?, laterBridges: [Bridge] = [], revisions: [Revision] = []
  ) {
    self.name = name
    self.aliases = aliases
    self.oldest = oldest
    bridges = (bridge.map { [$0] } ?? []) + laterBridges
    self.revisions = revisions
    self.csClass = csClass
    self.caveat = caveat
    self.toolOffersUpgrades = toolOffersUpgrades
  }

  /// The bridge to the oldest release that has one.
  public var bridge: Bridge? { bridges.first }

  /// All releases of the line, oldest first.
  public var releases: [Release] { [oldest] + revisions.map(\.release) }

  /// All formats, Hugging Face first if there is a bridge.
  public var formats: [Format] { (bridge == nil ? [] : [.hf]) + releases.map(Format.cs) }

  /// The prefix that files of a release may put before every key: what the newest revision up to it says.
  public func optionalPrefix(of release: Release) -> String? {
    revisions.last { $0.release <= release && $0.optionalPrefix != nil }?.optionalPrefix
  }
}

/// The rules between Hugging Face (left) and one release (right).
public struct Bridge: Sendable {
  /// The release on the right.
  public let release: Release
  /// The class that holds the state dict in transformers.
  public let hfClass: String
  /// The `model_type` of the Hugging Face config.
  public let modelType: String
  /// Tensor rules.
  public let tensors: [Rule]
  /// Config rules.
  public let config: [ConfigRule]

  /// A bridge.
  public init(
    to release: Release, hfClass: String, modelType: String, tensors: [Rule], config: [ConfigRule]
  ) {
    self.release = release
    self.hfClass = hfClass
    self.modelType = modelType
    self.tensors = tensors
    self.config = config
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
  public let release: Release
  /// Tensor rules.
  public let tensors: [Rule]
  /// Config rules; keys without a rule pass unchanged.
  public let config: [ConfigRule]
  /// True when the tensor rules cover every key; false when keys without a rule pass unchanged.
  public let coversAllKeys: Bool
  /// A prefix that files may put before every key from this release on; understood when reading, never written.
  public let optionalPrefix: String?
  /// True when the step back from this release leaves that prefix where it is, for the next step to take off.
  public let keepsPrefix: Bool
  /// What becomes of the other entries.
  public let entries: Entries

  /// A revision.
  public init(
    _ release: Release, coversAllKeys: Bool = false, optionalPrefix: String? = nil, keepsPrefix: Bool = false,
    entries: Entries = .keep, tensors: [Rule] = [], config: [ConfigRule] = []
  ) {
    self.release = release
    self.tensors = tensors
    self.config = config
    self.coversAllKeys = coversAllKeys
    self.optionalPrefix = optionalPrefix
    self.keepsPrefix = keepsPrefix
    self.entries = entries
  }
}
