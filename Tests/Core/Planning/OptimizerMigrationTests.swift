import OrderedCollections
import Testing

@testable import Core

@Suite struct OptimizerMigrationTests {
  private typealias Tree = ObjectTree<SymbolicTensor>

  /// Parameters: one renamed, one as it was, one transposed, one gone, one tied to two keys.
  private let migration = OptimizerMigration(
    sources: ["old", "same", "turned", "gone", "tied"],
    converted: StateDict([
      "new": .tensor(SymbolicTensor(source: "old", dtype: .float32, shape: [2])),
      "same": .tensor(SymbolicTensor(source: "same", dtype: .float32, shape: [2])),
      "turned": .tensor(SymbolicTensor(source: "turned", dtype: .float32, shape: [2, 3]).matrixTransposed),
      "first": .tensor(SymbolicTensor(source: "tied", dtype: .float32, shape: [2])),
      "second": .tensor(SymbolicTensor(source: "tied", dtype: .float32, shape: [2])),
      "none": .other(.none),
    ]))

  private func optimizer(_ states: [(Tree.Key, Tree)], params: [Tree]) -> [Tree.Entry] {
    [
      .init(.string("global_step"), .int(7)),
      .init(
        .string("optimizer"),
        .dictionary(
          [
            .init(.string("state"), .dictionary(states.map { .init($0.0, $0.1) }, ordered: false)),
            .init(
              .string("param_groups"),
              .list([
                .dictionary(
                  [.init(.string("lr"), .double(0.1)), .init(.string("params"), .list(params))], ordered: false)
              ])),
          ], ordered: false)),
    ]
  }

  @Test func followsParametersAndSaysWhatItDrops() {
    let names = ["old", "same", "turned", "gone", "tied", "unknown"]
    var warnings: [Diagnostic] = []
    let migrated = migration.migrated(
      optimizer(names.map { (.string($0), .string("of \($0)")) }, params: names.map { .string($0) }),
      warnings: &warnings)
    let kept = [("new", "old"), ("same", "same"), ("first", "tied"), ("unknown", "unknown")]
    #expect(
      migrated
        == optimizer(
          kept.map { (.string($0.0), .string("of \($0.1)")) }, params: kept.map { .string($0.0) }))
    #expect(warnings.map(\.subject) == [.tensor("turned"), .tensor("gone")])
    #expect(warnings.first?.message.contains("permute[1, 0]") == true)
    #expect(warnings.last?.message.contains("no such parameter") == true)
  }

  @Test func leavesNumberedStatesAlone() {
    var warnings: [Diagnostic] = []
    let entries = optimizer([(.int(0), .string("a")), (.int(1), .string("b"))], params: [.int(0), .int(1)])
    #expect(migration.migrated(entries, warnings: &warnings) == entries)
    #expect(warnings.isEmpty)
  }
}
