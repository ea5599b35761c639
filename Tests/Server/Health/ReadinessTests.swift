import GRDB
import HTTPTypes
import HummingbirdTesting
import NIOCore
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Readiness")
struct ReadinessTests {
  private func checks(_ answer: Client.Answer) -> [String: Bool] {
    let list = answer.json["checks"] as? [[String: Any]] ?? []
    return Dictionary(
      uniqueKeysWithValues: list.compactMap { check in
        (check["name"] as? String).flatMap { name in (check["ok"] as? Bool).map { (name, $0) } }
      })
  }

  /// The answer of 503 is no problem document: it has the checks.
  private func ask(_ client: Client) async throws -> TestResponse {
    try await client.base.executeRequest(uri: "/readyz", method: .get, headers: [:], body: nil)
  }

  @Test("Ready when database, workers and disk are")
  func ready() async throws {
    try await ServiceHarness().test { client async throws in
      let isReady = try await eventually { try await ask(client).status == .ok }
      #expect(isReady)
      let answer = try await client.send(.get, "/readyz")
      #expect(answer["status"] == "ready")
      #expect(checks(answer) == ["database": true, "workers": true, "disk": true])
    }
  }

  @Test("A disk under its floor is not ready, and takes neither uploads nor jobs: 507 with Retry-After")
  func disk() async throws {
    let harness = try ServiceHarness { $0.diskFloor = .max }
    try await harness.test { client async throws in
      let answer = try await ask(client)
      #expect(answer.status == .serviceUnavailable)
      #expect(String(buffer: answer.body).contains("the floor is"))
      let upload = try await client.send(.put, "/v1/uploads/x", body: "x")
      let job = try await client.submit(
        #"{"command":"convert-config","model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}}}"#)
      for refusal in [upload, job] {
        #expect(refusal.status.code == 507)
        #expect(refusal["code"] == "disk_full")
        #expect(refusal.headers[.retryAfter] == "60")
      }
      #expect(try await client.send(.get, "/healthz").status == .ok)
    }
    #expect(try harness.files("incoming").isEmpty)
  }

  @Test("Space is counted above the floor, without overflow")
  func space() throws {
    let folder = try TemporaryFolder()
    let available = try FreeSpace(path: folder.path, floor: 0).available()
    #expect(available > 0)
    try FreeSpace(path: folder.path, floor: 0).require(available / 2, for: "x")
    #expect(throws: Fault.self) { try FreeSpace(path: folder.path, floor: 0).require(.max, for: "x") }
    #expect(throws: Fault.self) { try FreeSpace(path: folder.path, floor: .max).require(.max, for: "x") }
    #expect(throws: Fault.self) {
      try FreeSpace(path: folder.path, floor: available / 2).require(available, for: "x")
    }
  }

  @Test("Many who ask at once wait for one look at the database")
  func singleFlight() async throws {
    let folder = try TemporaryFolder()
    let database = try SQLiteStore.Database(path: folder.path.appending("x.sqlite").string)
    try await database.pool.write { db in
      try db.execute(
        sql: """
          CREATE TABLE looks (at INTEGER);
          CREATE TRIGGER first AFTER INSERT ON probe BEGIN INSERT INTO looks VALUES (NEW.written_at); END;
          CREATE TRIGGER further AFTER UPDATE ON probe BEGIN INSERT INTO looks VALUES (NEW.written_at); END;
          """)
    }
    let readiness = Readiness(
      store: SQLiteJobStore(database: database), vitals: WorkerVitals(), signal: WorkSignal(),
      space: FreeSpace(path: folder.path, floor: 0), workers: 0, lease: .seconds(30))
    let answers = await withTaskGroup(of: Bool?.self) { group in
      for _ in 0..<20 { group.addTask { await readiness.checks().first { $0.name == "database" }?.ok } }
      return await group.reduce(into: [Bool?]()) { $0.append($1) }
    }
    #expect(answers == Array(repeating: true, count: 20))
    #expect(try await database.pool.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM looks") } == 1)
  }

  @Test("Not ready without its workers, and none once the service stops")
  func workers() async throws {
    let folder = try TemporaryFolder()
    let store = SQLiteJobStore(database: try Database(path: folder.path.appending("x.sqlite").string))
    let (vitals, signal) = (WorkerVitals(), WorkSignal())
    func detail() async -> String? {
      await Readiness(
        store: store, vitals: vitals, signal: signal, space: FreeSpace(path: folder.path, floor: 0), workers: 2,
        lease: .seconds(30)
      ).checks().first { $0.name == "workers" }?.detail
    }
    vitals.begin()
    #expect(await detail() == "1 of 2 workers live")
    vitals.begin()
    #expect(await detail() == "leases are not extended")
    vitals.keptLeases()
    #expect(await detail() == "")
    for times in 1...3 {
      #expect(await detail() == "", "\(times)")
      vitals.missed("worker-1")
      vitals.looked("worker-0")
    }
    #expect(await detail() == "1 of 2 workers cannot read the queue")
    vitals.looked("worker-1")
    #expect(await detail() == "")
    vitals.end()
    #expect(await detail() == "1 of 2 workers live")
    signal.stop()
    #expect(await detail() == "the service stops")
  }
}
