import OrderedCollections

/// A part of a composed model, which is a model of its own in Hugging Face.
///
/// As a folder, its name is the first segment of its keys and the key of its config: the state dict of all folders together
/// has `image_model.vision_model...`, and the config of all of them is `{"image_model": {...}, "text_model": {...}}`.
package struct Component: Sendable, Hashable {
  /// The folder, or the key of its config inside the config of one checkpoint.
  package let name: String
  /// Where params files describe it, as a path inside the model's section.
  package let section: String
  /// The class that holds its state dict in transformers.
  let hfClass: String
  /// The `model_type`s of its config; the first is the one that is written.
  let modelTypes: [String]

  package init(_ name: String, section: String, hfClass: String, modelTypes: [String]) {
    self.name = name
    self.section = section
    self.hfClass = hfClass
    self.modelTypes = modelTypes
  }
}

/// How Hugging Face keeps a composed model. For every other model there is no difference.
package enum HuggingFaceLayout: String, Sendable, Hashable, CaseIterable {
  /// A folder for each component, which is a checkpoint of its own.
  case folders
  /// One checkpoint, whose config has a section for each component.
  case oneCheckpoint
}

/// A file that goes with a Hugging Face checkpoint and follows from its config, such as `preprocessor_config.json`.
struct DerivedDocument: Sendable {
  /// The component in whose folder it lies; empty for a model that is one checkpoint.
  let component: String
  /// The name of the file, with the extension `json`.
  let name: String
  /// The content, given the Hugging Face config of the whole model.
  let content: @Sendable (ConfigObject) -> ConfigObject

  init(
    _ name: String, of component: String, _ content: @escaping @Sendable (ConfigObject) -> ConfigObject
  ) {
    self.name = name
    self.component = component
    self.content = content
  }
}
