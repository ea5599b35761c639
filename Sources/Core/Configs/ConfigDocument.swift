import OrderedCollections

/// A config as a file: one mapping, in JSON or YAML.
package struct ConfigDocument: Sendable {
  /// How a config is written down.
  package enum Syntax: String, Sendable, Hashable, CaseIterable {
    /// Hugging Face's `config.json`.
    case json
    /// Model Zoo's `params.yaml`.
    case yaml

    /// The extension of output files.
    package var fileExtension: String { rawValue }
  }

  /// The syntax it was read in, and is written in.
  package let syntax: Syntax
  package var root: ConfigObject
  /// What a reader should know about the text: keys that occur twice.
  package private(set) var warnings: [Diagnostic] = []
  /// The text a YAML document was read from and what it said; nil for JSON, which has no comments, and new documents.
  private let source: (bytes: [UInt8], root: ConfigObject, limits: Limits)?

  /// A new document.
  package init(root: ConfigObject, syntax: Syntax) {
    self.root = root
    self.syntax = syntax
    source = nil
  }

  private init(root: ConfigObject, yaml bytes: [UInt8], limits: Limits) {
    self.root = root
    syntax = .yaml
    source = (bytes, root, limits)
  }

  /// Reads a config file. Without a syntax, `.json`, `.yaml` and `.yml` say which it is; any other name leaves that to
  /// the content.
  ///
  /// Throws `.unreadableInput` when the file cannot be read, is something else than a config, is malformed or holds no
  /// mapping, `.hostileInput` when it exceeds a limit or names forbidden tags.
  package static func load(
    path: String, syntax: Syntax? = nil, limits: Limits = .standard, files: InputFiles = .onDisk
  ) throws(ConversionError) -> ConfigDocument {
    let file = try files.open(path)
    try ConfigText.check(try file.bytes(at: 0, count: min(file.size, 512)), size: file.size, name: file.path)
    guard file.size <= limits.configBytes else {
      throw ConversionError(
        .hostileInput, "\(file.path) has \(file.size) bytes; a config of at most \(limits.configBytes) is read")
    }
    // The bytes, and the texts that are made of them.
    try limits.take(2 * file.size)
    let bytes = try file.bytes(at: 0, count: file.size)
    return try parse(bytes, name: file.path, syntax: syntax ?? Syntax(path: path), limits: limits)
  }

  /// Reads a config from memory; without a syntax, a text that starts with `{` is taken for JSON.
  ///
  /// `name` is what errors call it. Throws as `load` does.
  package static func parse(
    _ bytes: [UInt8], name: String, syntax: Syntax? = nil, limits: Limits = .standard
  ) throws(ConversionError) -> ConfigDocument {
    try ConfigText.check(Array(bytes.prefix(512)), size: bytes.count, name: name)
    let bytes = try ConfigText.utf8(bytes, name: name, syntax: syntax)
    let syntax = syntax ?? Syntax(content: bytes)
    var warnings: [Diagnostic] = []
    let value: ConfigValue
    switch syntax {
    case .json: value = try JSONReader.parse(bytes, name: name, limits: limits, warnings: &warnings)
    case .yaml: value = try YAMLReader.parse(bytes, name: name, limits: limits, warnings: &warnings)
    }
    guard case .object(let root) = value else {
      throw ConversionError(
        .unreadableInput, "\(name) holds \(value.kindDescription); a config must be a mapping of keys to values")
    }
    var document =
      switch syntax {
      case .json: ConfigDocument(root: root, syntax: .json)
      case .yaml: ConfigDocument(root: root, yaml: bytes, limits: limits)
      }
    document.warnings = warnings
    return document
  }

  /// The text of the document.
  ///
  /// A YAML document that was read and then changed through `root` keeps its comments and its untouched lines where
  /// possible; keys that were there before then stay in the order of the text. Everything else is written afresh.
  package func render() -> String { render {} }

  private func render<Failure: Error>(_ step: () throws(Failure) -> Void) throws(Failure) -> String {
    switch syntax {
    case .json: return try JSONWriter.render(.object(root), step: step)
    case .yaml:
      if let source,
        let text = YAMLPatch.apply(root, to: source.bytes, reading: source.root, limits: source.limits)
      {
        return text
      }
      return YAMLWriter.render(.object(root))
    }
  }

  /// Writes the text into a staged file, from its start. Does not publish. Throws `.outputFailed`, `.diskFull` or `.cancelled`.
  func save(to file: StagedFile) throws(ConversionError) {
    var pacer = Interruption.Pacer()
    let text = try render { () throws(ConversionError) in try pacer.step() }
    try file.write(Array(text.utf8), at: 0)
  }
}

extension ConfigDocument.Syntax {
  /// The syntax that the extension of a path names.
  fileprivate init?(path: String) {
    let name = path.lowercased()
    if name.hasSuffix(".json") {
      self = .json
    } else if name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
      self = .yaml
    } else {
      return nil
    }
  }

  fileprivate init(content: [UInt8]) {
    let first = content.first { $0 > 0x20 && ![0xEF, 0xBB, 0xBF].contains($0) }
    self = first == UInt8(ascii: "{") ? .json : .yaml
  }
}

extension ConfigValue {
  /// The kind of value, for messages.
  var kindDescription: String {
    switch self {
    case .null: "nothing"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .timestamp: "a date or a time"
    case .array: "a list"
    case .object: "a mapping"
    }
  }
}
