import API
package import Foundation
package import Jobs

/// The message that a receiver gets: what happened, when, and the job as `GET /v1/jobs/{job}` shows it.
struct WebhookEvent: Encodable, Sendable {
  let job: Job

  private enum CodingKeys: String, CodingKey { case type, timestamp, data }

  /// Such as `job.succeeded`.
  var type: String { "job.\(job.status.rawValue)" }

  /// The events there are.
  static let types = JobStatus.allCases.filter(\.isEnded).map { "job.\($0.rawValue)" }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(type, forKey: .type)
    try container.encode(job.finishedAt, forKey: .timestamp)
    try container.encode(JobDocument(job: job, live: nil), forKey: .data)
  }

}

extension Job {
  /// The body of the message that tells a receiver of the end of this job.
  package var webhookMessage: Data { get throws { try JSONBody.encode(WebhookEvent(job: self)) } }
}
