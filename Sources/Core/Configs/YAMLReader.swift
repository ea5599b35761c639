internal import OrderedCollections

/// Reads YAML as PyYAML's `safe_load` does: YAML 1.1, no Python objects.
///
/// The order of keys and the text of numbers are kept. Aliases and merge keys (`<<`) are expanded. Where this reader
/// differs from PyYAML on purpose:
/// - A key that occurs twice in one mapping has its last value, in its first place, with a warning; PyYAML gives none.
///   Keys that a merge brings in do not count.
/// - Dates and times stay strings; so do a lone `=` and `<<`, which PyYAML cannot load as values.
/// - `!!binary`, `!!set`, `!!omap` and `!!pairs` are refused: no config has a use for them.
/// - A mapping as a key is refused; numbers, booleans and null as keys are kept, see `ConfigKey`.
package enum YAMLReader {
  /// Parses a stream of one document, whatever its top-level value is; an empty stream is null.
  ///
  /// `name` is what errors call the document. Throws `.unreadableInput` with line and column for anything that is no
  /// YAML, `.hostileInput` for tags of Python objects or unknown tags, for an alias inside its own anchor, and when
  /// `limits.configBytes`, `.configNodes`, `.nesting` or `.numberDigits` is exceeded. Nodes and nesting are counted as
  /// if every alias were written out.
  ///
  /// Complexity: O(bytes + nodes); aliased values share memory.
  package static func parse(
    _ bytes: [UInt8], name: String, limits: Limits = .standard
  ) throws(ConversionError) -> ConfigValue {
    var warnings: [Diagnostic] = []
    return try parse(bytes, name: name, limits: limits, warnings: &warnings)
  }

  /// As above; keys that occur twice are added to the warnings.
  package static func parse(
    _ bytes: [UInt8], name: String, limits: Limits = .standard, warnings: inout [Diagnostic]
  ) throws(ConversionError) -> ConfigValue {
    guard bytes.count <= limits.configBytes else {
      throw ConversionError(
        .hostileInput, "\(name) has \(bytes.count) bytes; at most \(limits.configBytes) are read")
    }
    var composer = YAMLComposer(events: try YAMLEvents(bytes, name: name), name: name, limits: limits)
    let value = try composer.document()
    warnings += composer.repeated.findings(in: name)
    return value
  }
}

/// Builds values from events and counts as it goes, so that no limit is passed before it is checked.
private struct YAMLComposer {
  /// A value with the size and height it has once aliases are written out.
  struct Composed {
    let value: ConfigValue
    let nodes: Int
    let height: Int
  }

  /// An anchor whose value is complete, or nil while it is being read.
  var anchors: [String: Composed?] = [:]
  var nodes = 0
  var depth = 0
  var repeated = RepeatedKeys()
  let events: YAMLEvents
  let name: String
  let limits: Limits

  init(events: YAMLEvents, name: String, limits: Limits) {
    self.events = events
    self.name = name
    self.limits = limits
  }

  mutating func document() throws(ConversionError) -> ConfigValue {
    _ = try events.next()
    guard case .documentStart = try events.next().content else { return .null }
    let root = try compose(try events.next())
    _ = try events.next()
    let after = try events.next()
    guard case .streamEnd = after.content else {
      throw failure("a second document starts here; a config is one document", at: after)
    }
    return root.value
  }

  private mutating func compose(_ event: YAMLEvent) throws(ConversionError) -> Composed {
    let result: Composed
    switch event.content {
    case .alias(let anchor): return try alias(anchor, at: event)
    case .scalar(let text, let tag, let anchor, let plain):
      try count(1, at: event)
      result = Composed(value: try scalar(text, tag: tag, plain: plain, at: event), nodes: 1, height: 0)
      if let anchor { anchors[anchor] = result }
    case .sequenceStart(let tag, let anchor, _):
      try check(tag, is: YAMLTag.sequence, at: event)
      result = try container(anchor, at: event, Self.sequence)
    case .mappingStart(let tag, let anchor, _):
      try check(tag, is: YAMLTag.mapping, at: event)
      result = try container(anchor, at: event, Self.mapping)
    default: throw failure("a value is expected here", at: event)
    }
    return result
  }

  private mutating func container(
    _ anchor: String?, at event: YAMLEvent, _ body: (inout YAMLComposer) throws(ConversionError) -> (ConfigValue, Int)
  ) throws(ConversionError) -> Composed {
    if let anchor { anchors.updateValue(nil, forKey: anchor) }
    let before = nodes
    try count(1, at: event)
    depth += 1
    try checkDepth(0, at: event)
    let (value, height) = try body(&self)
    depth -= 1
    let composed = Composed(value: value, nodes: nodes - before, height: height + 1)
    if let anchor { anchors[anchor] = composed }
    return composed
  }

  private static func sequence(_ composer: inout YAMLComposer) throws(ConversionError) -> (ConfigValue, Int) {
    var values: [ConfigValue] = []
    var height = 0
    while true {
      let event = try composer.events.next()
      if case .sequenceEnd = event.content { return (.array(values), height) }
      let element = try composer.compose(event)
      values.append(element.value)
      height = max(height, element.height)
    }
  }

  private static func mapping(_ composer: inout YAMLComposer) throws(ConversionError) -> (ConfigValue, Int) {
    var own = ConfigObject()
    var merged: [ConfigObject] = []
    var height = 0
    while true {
      let event = try composer.events.next()
      if case .mappingEnd = event.content { break }
      if composer.isMergeKey(event) {
        let sourceEvent = try composer.events.next()
        let source = try composer.compose(sourceEvent)
        merged.append(contentsOf: try composer.mergeSources(source.value, at: sourceEvent))
        height = max(height, source.height)
        continue
      }
      let key = try composer.key(event)
      let element = try composer.compose(try composer.events.next())
      height = max(height, element.height)
      if own.updateValue(element.value, forKey: key) != nil {
        let name = composer.name
        composer.repeated.add(key) { event.start.place(in: name) }
      }
    }
    guard !merged.isEmpty else { return (.object(own), height) }
    // PyYAML puts merged keys first and lets the mapping's own values win in their places.
    var result = ConfigObject()
    for object in merged { result.merge(object) { $1 } }
    result.merge(own) { $1 }
    return (.object(result), height)
  }

  private func isMergeKey(_ event: YAMLEvent) -> Bool {
    guard case .scalar(let text, let tag, _, let plain) = event.content else { return false }
    return tag == YAMLTag.merge || tag == nil && plain && text == "<<"
  }

  /// The mappings a merge key names, the one with the least say first.
  private func mergeSources(_ value: ConfigValue, at event: YAMLEvent) throws(ConversionError) -> [ConfigObject] {
    switch value {
    case .object(let object): return [object]
    case .array(let values):
      var objects: [ConfigObject] = []
      for value in values {
        guard case .object(let object) = value else { throw failure("<< takes mappings only", at: event) }
        objects.append(object)
      }
      return objects.reversed()
    default: throw failure("<< takes a mapping or a list of mappings", at: event)
    }
  }

  private mutating func key(_ event: YAMLEvent) throws(ConversionError) -> String {
    let value = try compose(event).value
    switch value {
    case .string(let text), .timestamp(let text):
      guard !ConfigKey.isMarked(text) else {
        throw failure("a key starts with the reserved code point U+FDD0", at: event)
      }
      return text
    default: break
    }
    guard let key = ConfigKey.encode(value) else { throw failure("a list or a mapping as a key", at: event) }
    return key
  }

  private mutating func alias(_ anchor: String, at event: YAMLEvent) throws(ConversionError) -> Composed {
    guard let entry = anchors[anchor] else { throw failure("no anchor &\(anchor) stands before this alias", at: event) }
    guard let target = entry else {
      throw failure("the alias *\(anchor) stands inside its own anchor", at: event, .hostileInput)
    }
    try count(target.nodes, at: event)
    try checkDepth(target.height, at: event)
    return target
  }

  private func scalar(
    _ text: String, tag: String?, plain: Bool, at event: YAMLEvent
  ) throws(ConversionError) -> ConfigValue {
    let kind: YAMLScalar
    if let tag, tag != YAMLTag.nonSpecific {
      guard let tagged = YAMLTag.scalars[tag] else { throw unknown(tag, at: event) }
      kind = tagged
    } else {
      kind = plain && tag == nil ? YAMLScalar(plain: text) : .string
    }
    if kind == .int || kind == .float, text.utf8.count > limits.numberDigits {
      throw failure("a number of more than \(limits.numberDigits) characters", at: event, .hostileInput)
    }
    guard let value = kind.value(of: text, keepingText: tag == nil) else {
      throw failure("\(PythonText.repr(text)) is not of the type its tag or its form says", at: event)
    }
    return value
  }

  private func check(_ tag: String?, is expected: String, at event: YAMLEvent) throws(ConversionError) {
    guard let tag, tag != YAMLTag.nonSpecific, tag != expected else { return }
    throw unknown(tag, at: event)
  }

  private func unknown(_ tag: String, at event: YAMLEvent) -> ConversionError {
    if YAMLTag.isStandard(tag) { return failure("the tag \(tag) has no place here", at: event) }
    return failure("the tag \(tag) is not allowed in a config", at: event, .hostileInput)
  }

  private mutating func count(_ added: Int, at event: YAMLEvent) throws(ConversionError) {
    // Both are at most the limit, so the sum cannot overflow.
    if (nodes + added) / 1024 > nodes / 1024 { try limits.take(((nodes + added) / 1024 - nodes / 1024) * 1024 * 192) }
    nodes += added
    guard nodes <= limits.configNodes else {
      throw failure("more than \(limits.configNodes) values, aliases written out", at: event, .hostileInput)
    }
  }

  private func checkDepth(_ height: Int, at event: YAMLEvent) throws(ConversionError) {
    guard depth + height <= limits.nesting else {
      throw failure("nested more than \(limits.nesting) levels deep", at: event, .hostileInput)
    }
  }

  private func failure(
    _ what: String, at event: YAMLEvent, _ kind: ErrorKind = .unreadableInput
  ) -> ConversionError {
    ConversionError(kind, "\(event.start.place(in: name)): \(what)")
  }
}

/// Tags that a config may write out.
private enum YAMLTag {
  static let prefix = "tag:yaml.org,2002:"
  /// `!`, which turns the resolver off.
  static let nonSpecific = "!"
  static let sequence = prefix + "seq"
  static let mapping = prefix + "map"
  static let merge = prefix + "merge"
  static let scalars: [String: YAMLScalar] = [
    prefix + "str": .string, prefix + "null": .null, prefix + "bool": .bool, prefix + "int": .int,
    prefix + "float": .float, prefix + "timestamp": .timestamp,
  ]

  /// True for the tags of YAML's own type repository, as opposed to those of Python and of applications.
  static func isStandard(_ tag: String) -> Bool {
    tag.hasPrefix(prefix) && !tag.dropFirst(prefix.count).hasPrefix("python")
  }
}

extension YAMLScalar {
  /// The value of a scalar of this kind, or nil when its text is none; the text of numbers is kept on request.
  func value(of text: String, keepingText: Bool) -> ConfigValue? {
    switch self {
    case .string, .merge, .value: .string(text)
    case .timestamp: YAMLScalar.isMoment(text) ? .timestamp(text) : .string(text)
    case .null: .null
    case .bool: Self.bools[text].map { .bool($0) }
    case .int: YAMLNumber.int(text).map { .number(ConfigNumber($0, text: keepingText ? text : nil)) }
    case .float:
      YAMLNumber.float(text).map { .number(ConfigNumber(.double($0), text: keepingText ? text : nil)) }
    }
  }
}
