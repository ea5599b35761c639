import OrderedCollections

/// What a release changed in the whole params document, outside of what the config rules do inside the model section.
///
/// A plain value with both directions. A revision lists them in the order in which they apply upwards; downwards they
/// apply in the reverse order. Sections and keys that no rule names stay as they are.
struct DocumentRule: Sendable {
  /// A value of the older document turned into that of the newer, or back; nil leaves the key out.
  typealias Mapping = @Sendable (ConfigValue) throws(ConfigFailure) -> ConfigValue?
  /// A change of the whole document that no simpler rule can express.
  typealias Rewriting =
    @Sendable (inout ConfigObject, DocumentContext, inout [DocumentNotice]) throws(ConfigFailure) -> Void

  /// What a rule does.
  enum Action: Sendable {
    /// The value moves between two places. A value that stands at the target already is kept, unless `replaces`.
    case move(older: DocumentPath, newer: DocumentPath, forward: Mapping, backward: Mapping?, replaces: Bool)
    /// The key exists in documents of one side only and is left out on the way to the other. The message, if there is
    /// one, is a warning when that happens.
    case drop(Side, DocumentPath, message: String?)
    /// A sentence that the user should read about a value of a document of one side; nil when there is nothing to say.
    case caution(Side, DocumentPath, @Sendable (ConfigValue) -> String?)
    /// The rare exception; a direction that is nil changes nothing.
    case rewrite(name: String, forward: Rewriting?, backward: Rewriting?)
  }

  /// What the rule does.
  let action: Action
  /// The rule applies only to conversions that start at this release or a later one; nil applies to all.
  let since: Release?
  /// The rule applies only where this top-level section exists.
  let section: String?
  /// Where the rule was written.
  let origin: Origin

  init(_ action: Action, since: Release? = nil, section: String? = nil, origin: Origin) {
    self.action = action
    self.since = since
    self.section = section
    self.origin = origin
  }

  /// The same rule for conversions that start at a release or a later one.
  func starting(at release: Release) -> DocumentRule {
    DocumentRule(action, since: release, section: section, origin: origin)
  }

  /// A value that moves on the way up, and stays where it is on the way down: the older release reads both places.
  static func moveUp(
    _ older: DocumentPath, to newer: DocumentPath, ifSection section: String? = nil, replaces: Bool = false,
    file: String = #fileID, line: Int = #line,
    _ mapping: @escaping Mapping = { (value) throws(ConfigFailure) in value }
  ) -> DocumentRule {
    DocumentRule(
      .move(older: older, newer: newer, forward: mapping, backward: nil, replaces: replaces), section: section,
      origin: Origin(file, line))
  }

  /// A value that moves in both directions.
  static func move(
    _ older: DocumentPath, _ newer: DocumentPath, file: String = #fileID, line: Int = #line
  ) -> DocumentRule {
    let same: Mapping = { (value) throws(ConfigFailure) in value }
    return DocumentRule(
      .move(older: older, newer: newer, forward: same, backward: same, replaces: false), origin: Origin(file, line))
  }

  /// A key that only documents of `side` have.
  static func drop(
    _ side: Side, _ path: DocumentPath, _ message: String? = nil, file: String = #fileID, line: Int = #line
  ) -> DocumentRule {
    DocumentRule(.drop(side, path, message: message), origin: Origin(file, line))
  }

  /// A sentence about a value of a source of `side`.
  static func caution(
    _ side: Side, _ path: DocumentPath, file: String = #fileID, line: Int = #line,
    _ sentence: @escaping @Sendable (ConfigValue) -> String?
  ) -> DocumentRule {
    DocumentRule(.caution(side, path, sentence), origin: Origin(file, line))
  }

  /// A change that is written out for each direction.
  static func rewrite(
    _ name: String, file: String = #fileID, line: Int = #line, forward: Rewriting? = nil, backward: Rewriting? = nil
  ) -> DocumentRule {
    DocumentRule(.rewrite(name: name, forward: forward, backward: backward), origin: Origin(file, line))
  }
}

/// What a document rule may look at besides the document.
struct DocumentContext: Sendable {
  /// The name that the Model Zoo's registry has for the model.
  let modelName: String
  /// The format that the whole conversion starts from, which may be several hops back.
  let start: Format
}

/// Something that a document rule says about a key: a warning for the user.
struct DocumentNotice: Sendable, Hashable {
  /// The key, as a path from the top.
  let key: String
  let message: String

  init(_ key: String, _ message: String) {
    self.key = key
    self.message = message
  }
}
