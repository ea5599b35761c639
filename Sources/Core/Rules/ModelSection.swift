import OrderedCollections

/// Where the part of a params document stands that describes the model.
///
/// Up to release 2.2 it is `model`. From release 2.3 on it is `trainer.init.model`, and `model` is still understood.
enum ModelSection {
  private static let places: [DocumentPath] = ["trainer.init.model", "model"]

  /// The first place that holds a mapping; nil when none does.
  static func path(in document: ConfigObject) -> DocumentPath? {
    places.first { if case .object = document[at: $0] { true } else { false } }
  }

  /// The model section of a params document of `format`.
  ///
  /// Throws `.configNotConvertible` when there is none, or when `trainer` is a list of several trainers.
  static func find(in document: ConfigObject, format: Format) throws(ConversionError) -> ConfigObject {
    if case .array(let trainers) = document["trainer"] {
      throw failure(
        "trainer",
        "The params file has a list of \(trainers.count) trainers under 'trainer'. A file with several trainers cannot be "
          + "converted: write each into a file of its own.")
    }
    guard let path = path(in: document), case .object(let section) = document[at: path] else {
      throw failure(
        "model",
        "The params file has no section 'model'. A \(format) config keeps the model's parameters there, or under "
          + "'trainer.init.model'; if this is a Hugging Face config, use --src-fmt hf.")
    }
    return section
  }

  /// The document with another model section, in the place where the old one was; a document without one gets `model`.
  static func replace(in document: ConfigObject, with section: ConfigObject) -> ConfigObject {
    var document = document
    document[at: path(in: document) ?? "model"] = .object(section)
    return document
  }

  private static func failure(_ key: String, _ message: String) -> ConversionError {
    ConversionError(
      .configNotConvertible, "ConfigConversionError: \(message)",
      diagnostics: [Diagnostic(.error, .configNotConvertible, .config(key), message)])
  }
}
