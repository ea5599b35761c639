/// What one release changed: the rules between the release before it (left) and itself (right).
struct Revision: Sendable {
  /// What becomes of the entries beside the state dict: optimizer, learning rate scheduler, step.
  enum Entries: Sendable, Hashable {
    /// They are carried along.
    case keep
    /// They are left out, because the layout changed too much; the reason is a warning.
    case drop(reason: String)
  }

  /// The release on the right.
  private(set) var release: Release
  private(set) var tensors: [Rule]
  /// Config rules of the model's section; keys without a rule pass unchanged.
  let config: [ConfigRule]
  /// True when the tensor rules cover every key; false when keys without a rule pass unchanged.
  let coversAllKeys: Bool
  /// The side whose keys never have the optional prefix `model.`, so that going there takes it off; nil for none.
  let bareSide: Side?
  /// What becomes of the other entries.
  let entries: Entries
  /// What the release changed in the other entries, where they are kept.
  let entryRules: [EntryRule]
  /// What the release changed in the params document around the model's section.
  private(set) var document: [DocumentRule]

  /// A revision. Documents and entries change with a release in the same way for every model.
  init(
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
