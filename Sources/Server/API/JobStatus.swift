/// Where a job is in its life; see docs/jobs.md.
package enum JobStatus: String, Codable, Sendable, CaseIterable {
  case queued
  case running
  case succeeded
  case failed
  case cancelled

  /// True when nothing happens to the job any more.
  package var isEnded: Bool { self == .succeeded || self == .failed || self == .cancelled }
}
