/// The files that the tensors of a plan go into: one, or shards with an index.
struct CheckpointFiles {
  /// The part of the plan's tree that each file holds.
  let trees: [ObjectTree<Int>]
  /// Path of each file.
  let paths: [String]
  /// The index of the shards; nil when there is one file.
  let index: ConfigObject?

  /// Precondition: the plan has a tree. Throws as `Sharding` does.
  init(_ plan: Plan, at outputs: OutputPaths) throws(ConversionError) {
    guard let shardSize = outputs.shardSize else {
      trees = [plan.tree ?? .dictionary([], ordered: true)]
      paths = [outputs.checkpoint ?? ""]
      index = nil
      return
    }
    let sharding = try Sharding(plan, limit: shardSize)
    trees = sharding.trees
    let count = trees.count
    paths = trees.indices.map { outputs.shard($0 + 1, of: count) }
    index = sharding.index(names: paths.map { String($0.split(separator: "/").last ?? "") })
  }
}
