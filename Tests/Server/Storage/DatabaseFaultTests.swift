import GRDB
import HTTPTypes
import Testing

@testable import Server

@Suite("Database fault")
struct DatabaseFaultTests {
  @Test("A full disk and a database that is held pass; the client is told when to try again")
  func kinds() throws {
    for (code, fault, status, problem) in [
      (ResultCode.SQLITE_FULL, DatabaseFault.full, 507, "disk_full"), (.SQLITE_BUSY, .busy, 503, "unavailable"),
      (.SQLITE_BUSY_SNAPSHOT, .busy, 503, "unavailable"), (.SQLITE_LOCKED, .busy, 503, "unavailable"),
    ] {
      #expect(DatabaseFault(DatabaseError(resultCode: code)) == fault)
      let answer = Problem.database(fault, cause: "the log has it")
      #expect(answer.status.code == status)
      #expect(answer.code.rawValue == problem)
      #expect(answer.headers[.retryAfter] != nil)
      #expect(JobFailure(fault, cause: "x").mayPass)
    }
    #expect(DatabaseFault(DatabaseError(resultCode: .SQLITE_CONSTRAINT)) == nil)
    #expect(DatabaseFault(CancellationError()) == nil)
  }
}
