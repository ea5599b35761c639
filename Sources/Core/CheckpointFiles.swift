/// The files that the tensors of a plan go into: one, or shards with an index; for a composed model those of each component.
struct CheckpointFiles {
  /// The part of the plan's tree that each file holds.
  private(set) var trees: [ObjectTree<Int>] = []
  /// Path of each file.
  private(set) var paths: [String] = []
  /// The indexes of the shards; none when every checkpoint is one file.
  private(set) var indexes: [(path: String, content: ConfigObject)] = []

  /// Precondition: the plan has a tree. Throws as `Sharding` does.
  init(_ plan: Plan, at outputs: OutputPaths) throws(ConversionError) {
    let whole = plan.tree ?? .dictionary([], ordered: true)
    for place in outputs.places {
      let tree = place.component.isEmpty ? whole : whole.component(place.component)
      guard let shardSize = outputs.shardSize else {
        trees.append(tree)
        paths.append(place.file)
        continue
      }
      let sharding = try Sharding(tree, of: plan, limit: shardSize)
      let count = sharding.trees.count
      let shards = (1...count).map { place.shard($0, of: count) }
      trees += sharding.trees
      paths += shards
      indexes.append((place.index, sharding.index(names: shards.map(ConversionReport.name))))
    }
  }
}
