import OrderedCollections

/// A value that belongs to the model, but that params files of the Model Zoo keep outside the model's section.
///
/// Config rules see it inside the section, under a key of its own.
struct OutsideKey: Sendable {
  /// What rules call it.
  let key: String
  /// Where params files keep it; there it is written.
  let place: DocumentPath
  private let alsoIn: @Sendable (ConfigObject) -> ConfigValue?

  /// A value at a place, or where a function finds it in documents of another layout.
  init(
    _ key: String, at place: DocumentPath, alsoIn: @escaping @Sendable (ConfigObject) -> ConfigValue? = { _ in nil }
  ) {
    self.key = key
    self.place = place
    self.alsoIn = alsoIn
  }

  /// The value in a params document; nil for none.
  func value(in document: ConfigObject) -> ConfigValue? { document[at: place] ?? alsoIn(document) }
}

extension [OutsideKey] {
  /// A model section with what its document keeps outside.
  func movedIn(to section: ConfigObject, from document: ConfigObject) -> ConfigObject {
    var section = section
    for outside in self { if let value = outside.value(in: document) { section[outside.key] = value } }
    return section
  }

  /// The params document of a model section that rules wrote.
  func movedOut(of section: ConfigObject) -> ConfigObject {
    var section = section
    var document: ConfigObject = [:]
    for outside in self {
      if let value = section.removeValue(forKey: outside.key) { document[at: outside.place] = value }
    }
    var result: ConfigObject = ["model": .object(section)]
    for (key, value) in document { result[key] = value }
    return result
  }
}
