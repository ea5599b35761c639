import API
import GRDB
import Jobs

/// Jobs as they were read last, so that a row which has not changed is not decoded again: clients poll, and most jobs rest.
///
/// A row is compared as a whole, which is exact whoever changed it. The outputs of a job never change once its row says
/// that it has succeeded.
struct DecodedJobs: Sendable {
  private struct Entry: Sendable {
    let row: [DatabaseValue]
    let job: Job
  }

  /// Jobs whose lists are longer than this are rare, and cost more memory than they are worth.
  private static let longestList = 100
  private let entries = RecentValues<Identifier, Entry>(limit: 512)

  /// The job of a row; `decode` makes it when the row is another than last time.
  func job(_ id: Identifier, _ row: Row, decode: (Row) throws -> Job) rethrows -> Job {
    let values = Array(row.databaseValues)
    if let entry = entries[id], entry.row == values { return entry.job }
    let job = try decode(row)
    if job.warnings.count <= Self.longestList, job.error?.findings.count ?? 0 <= Self.longestList {
      entries[id] = Entry(row: values, job: job)
    }
    return job
  }
}
