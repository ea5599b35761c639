import API
import GRDB
import Jobs

/// Messages are columns of their job, and a trigger makes them pending; see `Schema`.
extension SQLiteJobStore: WebhookStore {
  func dueWebhook(
    at now: Timestamp, longestPause: Duration, notOf busy: Set<String>, resting: Set<String>
  ) throws -> Job? {
    try database.read { db in
      let statement = try db.cachedStatement(sql: Statements.dueWebhook)
      let rows = try Row.fetchCursor(
        statement,
        arguments: [
          "now": now.milliseconds, "horizon": now.advanced(by: longestPause).milliseconds,
          "busy": try JSONBody.text(busy.sorted()), "resting": try JSONBody.text(resting.sorted()),
        ])
      while let row = try rows.next() {
        if let job = try Self.readable(row, in: db) { return job }
      }
      return nil
    }
  }

  func record(_ webhook: Webhook, of job: Identifier) throws {
    try database.write { db in
      try db.execute(
        sql: Statements.recordWebhook,
        arguments: [
          "id": job.description, "state": webhook.state.rawValue, "report": try JSONBody.text(webhook.report),
          "due": webhook.dueAt?.milliseconds,
        ])
    }
  }

  /// The webhook of a job's row, if it has one.
  static func webhook(_ row: Row) throws -> Webhook? {
    guard let text = row["webhook"] as String? else { return nil }
    guard let state = Webhook.State(rawValue: row["webhook_state"]) else {
      throw CorruptRow(table: "jobs", id: row["id"])
    }
    var webhook = Webhook(target: try JSONBody.decode(Webhook.Target.self, from: text), state: state)
    if let report = row["webhook_report"] as String? {
      webhook.report = try JSONBody.decode(Webhook.Report.self, from: report)
    }
    webhook.dueAt = (row["webhook_due"] as Int?).map(Timestamp.init(milliseconds:))
    return webhook
  }
}
