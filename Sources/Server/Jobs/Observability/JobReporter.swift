package import API
import Core

/// Counts what becomes of jobs.
package struct JobReporter: Sendable {
  package let metrics: Metrics
  package let models: ModelDirectory

  /// Every series begins at 0, so that the first job of its kind is an increase.
  package init(metrics: Metrics, models: ModelDirectory) {
    self.metrics = metrics
    self.models = models
    for code in ErrorKind.allCases.map({ FaultCode($0) }) + [.limitReached, .unavailable] {
      metrics.add(.jobErrors, [code.rawValue], by: 0)
    }
    for status in JobStatus.allCases where status.isEnded {
      for label in models.labels { metrics.add(.jobsEnded, [status.rawValue, label], by: 0) }
    }
  }

  /// A job came to its end. `time` is that of the attempt which ended it, nil when it never ran.
  package func ended(_ job: Job, as status: JobStatus, after time: Duration?) {
    metrics.add(.jobsEnded, [status.rawValue, models.label(of: job.model)])
    if let time { metrics.observe(.jobSeconds, [job.command.rawValue, status.rawValue], time) }
  }

  /// A job failed without an attempt that could say so: it was given up, or cannot be read.
  package func gaveUp(model: String) {
    failed(.internal)
    metrics.add(.jobsEnded, [JobStatus.failed.rawValue, models.label(of: model)])
  }

  /// An attempt failed, whether or not there will be another.
  package func failed(_ code: FaultCode) { metrics.add(.jobErrors, [code.rawValue]) }

  /// A lease ran out, and its job was put back or given up.
  func lostLease() { metrics.add(.leasesLost) }

  /// Files came in, were made or went out.
  package func moved(_ bytes: Int, _ direction: Direction) { metrics.add(.bytes, [direction.rawValue], by: bytes) }

  /// Where bytes of files went.
  package enum Direction: String, Sendable {
    case uploaded
    case fetched
    case converted
    case downloaded
  }
}
