/// What a token may do.
package enum AccessScope: String, Sendable, Codable, CaseIterable {
  /// Send files, submit jobs, and cancel, pin and delete its own.
  case submit
  /// See jobs and uploads, follow jobs, download outputs.
  case read
  /// Scrape `/metrics`; for a monitoring system that has no business with jobs.
  case metrics
  /// Everything, on everybody's jobs and uploads.
  case admin
}
