/// What each Model Zoo release changed outside of the model: in params documents and in the entries of checkpoints.
///
/// It is the same for every model, so that a ladder takes it from here. A release that is not named changed nothing.
enum ModelZooDocuments {
  /// The document rules between the release before and `release`; none for the step to a variant of one release.
  static func rules(of release: Release) -> [DocumentRule] {
    guard release.variant == nil else { return [] }
    let changes: [DocumentRule] =
      switch (release.major, release.minor) {
      case (2, 0): ModelZoo20.document
      case (2, 1): ModelZoo21.document
      case (2, 2): ModelZoo22.document
      case (2, 3): ModelZoo23.document
      case (2, 4): ModelZoo24.document
      default: []
      }
    return ModelZoo20.dataLoaderFiles + changes
  }

  /// The rules for entries beside the state dict between the release before and `release`.
  static func entries(of release: Release) -> [EntryRule] {
    release == Release(2, 2) ? [.sparsityMasks] : []
  }
}
