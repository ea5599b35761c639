import Foundation
import GRDB
import HTTPTypes
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// The database is one that a service with schema 14 wrote, as text.
@Suite("Faults of a former version")
struct FaultMigrationTests {
  private static let fixture = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Fixtures/databases/14.sql")

  /// What the former version stored, which is what its clients saw.
  private static let problem =
    #"{"code":"keys_unmatched","detail":"Not one key is a hf key of gpt2: --drop-unmatched-keys would leave nothing of "#
    + #"the model. Check --model and --src-fmt.","diagnostics":[{"code":"keys_unmatched","message":"Key not matched: x","#
    + #""severity":"error","subject":"x"},{"code":"state_dict_mismatch","message":"'lm_head.weight' is missing: the "#
    + #"config describes a model with this tensor, of shape [11, 4] (vocab_size, n_embd)","rule":"#
    + #""Core/DecoderParts.swift:23","severity":"error","subject":"lm_head.weight"}],"status":422,"title":"#
    + #""Keys of the checkpoint match no rule","type":"urn:zooport:problem:keys_unmatched"}"#

  @Test("A stored problem becomes a fault, and clients see the same problem as before")
  func migration() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("x.sqlite").string
    let old = try DatabaseQueue(path: path)
    try await old.write { try $0.execute(sql: try String(contentsOf: Self.fixture, encoding: .utf8)) }
    let stored = try await old.read { try String.fetchOne($0, sql: "SELECT error FROM jobs ORDER BY id LIMIT 1") }
    #expect(stored == Self.problem)
    try old.close()

    let database = try Database(path: path)
    let store = SQLiteJobStore(database: database)
    func job(_ last: Character) async throws -> Job? {
      try await store.job(try #require(Identifier("01m8prkd5gknqnxsy4xzng9a5\(last)")))
    }
    let failed = try #require(try await job("d")?.error)
    #expect(failed.code == .keysUnmatched)
    #expect(failed.message.hasPrefix("Not one key is a hf key of gpt2"))
    #expect(failed.findings.map(\.code) == [.keysUnmatched, .stateDictMismatch])
    #expect(failed.findings.map(\.rule) == [nil, "Core/DecoderParts.swift:23"])
    #expect(try JSONBody.text(ProblemDocument(failed)) == Self.problem)

    let limited = try #require(try await job("e")?.error)
    #expect(limited.code == .limitReached)
    #expect(limited.limit == .init(name: .storagePerToken, value: 1000))
    #expect(limited.status.code == 507)
    // What was no JSON is none now, and hides no other job.
    await #expect(throws: (any Error).self) { try await job("f") }
    #expect(try await store.jobs(matching: JobFilter(), after: nil, limit: 9).count == 3)
    #expect(try await job("g")?.error == nil)
    let keys = try await database.read {
      try String.fetchAll(
        $0, sql: "SELECT DISTINCT key FROM jobs, json_each(error) WHERE json_valid(error) ORDER BY key")
    }
    #expect(keys == ["code", "findings", "limit", "message"])
  }
}
