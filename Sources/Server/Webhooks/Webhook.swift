/// Whom a client wants to be told that a job has ended, and what came of it.
struct Webhook: Sendable, Hashable {
  /// What the client asked for. Never changes.
  struct Target: Sendable, Hashable, Codable {
    /// Of the message, the same in every try, so that a receiver can tell a repetition.
    let id: Identifier
    /// Its path and query may be secret: clients of the API see the host only.
    let url: SourceURL
    /// Signs the messages; a `WebhookSecret`.
    let secret: SealedSecret
  }

  /// Where the message is in its life.
  enum State: String, Sendable, CaseIterable {
    /// The job has not ended.
    case waiting
    /// It is sent, now or later.
    case pending
    /// The receiver answered 2xx.
    case delivered
    /// It was given up.
    case failed
  }

  /// What came of the tries.
  struct Report: Sendable, Hashable, Codable {
    var attempts = 0
    /// What the receiver answered last; nil when it did not answer.
    var lastStatus: Int?
    /// Why the last try failed.
    var lastError: String?
    var deliveredAt: Timestamp?
  }

  let target: Target
  var state = State.waiting
  var report = Report()
  /// When it is tried, while it is pending.
  var dueAt: Timestamp?
}

/// A webhook as clients see it with their job.
struct WebhookDocument: Encodable, Sendable {
  let webhook: Webhook

  private enum CodingKeys: String, CodingKey {
    case id, host, state, attempts, lastStatus, lastError, nextAttemptAt, deliveredAt
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(webhook.target.id, forKey: .id)
    try container.encode(webhook.target.url.host, forKey: .host)
    try container.encode(webhook.state.rawValue, forKey: .state)
    try container.encode(webhook.report.attempts, forKey: .attempts)
    try container.encode(webhook.report.lastStatus, forKey: .lastStatus)
    try container.encode(webhook.report.lastError, forKey: .lastError)
    try container.encode(webhook.dueAt, forKey: .nextAttemptAt)
    try container.encode(webhook.report.deliveredAt, forKey: .deliveredAt)
  }
}
