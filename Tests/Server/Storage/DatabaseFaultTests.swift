import GRDB
import HTTPTypes
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Database fault")
struct DatabaseFaultTests {
  @Test("A full disk and a database that is held pass; the client is told when to try again")
  func kinds() throws {
    for (result, code, status) in [
      (ResultCode.SQLITE_FULL, FaultCode.diskFull, 507), (.SQLITE_BUSY, .unavailable, 503),
      (.SQLITE_BUSY_SNAPSHOT, .unavailable, 503), (.SQLITE_LOCKED, .unavailable, 503),
    ] {
      let fault = try #require(Fault(DatabaseError(resultCode: result)))
      #expect(fault.code == code)
      #expect(fault.cause?.isEmpty == false)
      let answer = Problem(fault)
      #expect(answer.status.code == status)
      #expect(answer.headers[.retryAfter] != nil)
      #expect(JobFailure(of: fault).mayPass)
    }
    #expect(Fault(DatabaseError(resultCode: .SQLITE_CONSTRAINT)) == nil)
  }

  @Test("Every way into the database names what passes, and leaves other errors alone")
  func everyWay() async throws {
    let folder = try TemporaryFolder()
    let database = try Database(path: folder.path.appending("x.sqlite").string)
    func body(_ db: GRDB.Database) throws { throw DatabaseError(resultCode: .SQLITE_FULL) }
    func blocking() throws {
      let errors = [
        #expect(throws: Fault.self) { try database.read(body) },
        #expect(throws: Fault.self) { try database.write(body) },
        #expect(throws: Fault.self) { try database.write(undoing: {}, body) },
      ]
      #expect(errors.map { $0?.code } == [.diskFull, .diskFull, .diskFull])
      #expect(throws: DatabaseError.self) {
        try database.write { _ in throw DatabaseError(resultCode: .SQLITE_CORRUPT) }
      }
    }
    try blocking()
    await #expect(throws: Fault.self) { try await database.read { _ in throw DatabaseError(resultCode: .SQLITE_BUSY) } }
    await #expect(throws: Fault.self) {
      try await database.write { _ in throw DatabaseError(resultCode: .SQLITE_BUSY) }
    }
    await #expect(throws: Fault.self) {
      try await database.write(undoing: {}) { _ in throw DatabaseError(resultCode: .SQLITE_BUSY) }
    }
  }
}
