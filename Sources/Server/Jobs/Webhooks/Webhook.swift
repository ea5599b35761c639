package import API
package import Inputs

/// Whom a client wants to be told that a job has ended, and what came of it.
package struct Webhook: Sendable, Hashable {
  /// What the client asked for. Never changes.
  package struct Target: Sendable, Hashable, Codable {
    /// Of the message, the same in every try, so that a receiver can tell a repetition.
    package let id: Identifier
    /// Its path and query may be secret: clients of the API see the host only.
    package let url: SourceURL
    /// Signs the messages; a `WebhookSecret`.
    package let secret: SealedSecret

    package init(id: Identifier, url: SourceURL, secret: SealedSecret) {
      self.id = id
      self.url = url
      self.secret = secret
    }
  }

  /// Where the message is in its life.
  package enum State: String, Sendable, CaseIterable {
    /// The job has not ended.
    case waiting
    /// It is sent, now or later.
    case pending
    /// The receiver answered 2xx.
    case delivered
    /// It was not accepted within all retries, and is not sent again.
    case failed
  }

  /// What came of the tries.
  package struct Report: Sendable, Hashable, Codable {
    package var attempts = 0
    /// What the receiver answered last; nil when it did not answer.
    package var lastStatus: Int?
    /// Why the last try failed.
    package var lastError: String?
    package var deliveredAt: Timestamp?
  }

  package let target: Target
  package var state = State.waiting
  package var report = Report()
  /// When it is tried, while it is pending.
  package var dueAt: Timestamp?

  package init(target: Target, state: State = State.waiting, report: Report = Report(), dueAt: Timestamp? = nil) {
    self.target = target
    self.state = state
    self.report = report
    self.dueAt = dueAt
  }
}
