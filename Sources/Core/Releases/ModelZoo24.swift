import OrderedCollections

/// What release 2.4 changed in params documents: every model section has a `name`.
enum ModelZoo24 {
  /// Upwards the registry's name, where there is none. Downwards it stays, as the vendor's tool has it: 2.3 reads past it.
  /// A document in the layout of 2.2 that says muP by its factors says it by base sizes in 2.3.
  static let document: [DocumentRule] = [
    .rewrite(
      "model name",
      forward: { (document, context, _) in
        guard let path = ModelSection.path(in: document), document[at: path.appending("name")] == nil else { return }
        document[at: path.appending("name")] = .string(context.modelName)
      }),
    .rewrite(
      "muP base sizes",
      backward: { (document, context, notices) throws(ConfigFailure) in
        guard document["optimizer"] != nil else { return }
        try ModelZoo23.toBaseSizes(&document, context, &notices)
      }),
  ]
}
