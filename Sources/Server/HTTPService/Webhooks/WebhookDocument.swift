import Inputs
import Jobs

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
