import API
import Synchronization

/// What the service counts about itself, written in the text format of Prometheus (version 0.0.4).
///
/// Every label has a bounded set of values: routes of the table, statuses, models of the catalogue, problem codes.
/// Counters begin at 0 with the process, as Prometheus expects. Safe from any thread; an update takes a short lock.
package final class Metrics: Sendable {
  /// One series of a family: the values of its labels, in the order of the family's `labels`.
  private typealias Series = [String]

  private struct State {
    var counters: [Counter: [Series: Double]] = [:]
    var histograms: [Histogram: [Series: Distribution]] = [:]
  }

  private struct Distribution {
    /// Observations at or under each bound, not cumulated; the last is above all bounds.
    var buckets: [Int]
    var sum = 0.0
  }

  /// A number that only grows.
  package struct Counter: Hashable, Sendable {
    let name: String
    let help: String
    let labels: [String]

    package static let requests = Counter(
      name: "zooport_http_requests_total", help: "Requests answered, by route and status.",
      labels: ["method", "route", "status"])
    package static let brokenAnswers = Counter(
      name: "zooport_http_broken_answers_total",
      help: "Answers that broke off by a fault of the service after their head was sent, by route.", labels: ["route"])
    static let jobsEnded = Counter(
      name: "zooport_jobs_ended_total", help: "Jobs that ended, by state and model.", labels: ["status", "model"])
    static let jobErrors = Counter(
      name: "zooport_job_errors_total", help: "Attempts that failed, by the code of the error.", labels: ["code"])
    static let leasesLost = Counter(
      name: "zooport_leases_lost_total", help: "Attempts whose lease ran out.", labels: [])
    static let webhooks = Counter(
      name: "zooport_webhook_attempts_total",
      help: "Tries to tell a receiver that a job has ended: delivered, postponed to another try, or failed for good.",
      labels: ["result"])
    package static let bytes = Counter(
      name: "zooport_bytes_total",
      help: "Bytes of files: uploaded by clients, fetched by URL, converted into outputs, downloaded by clients.",
      labels: ["direction"])

    /// In the order of the exposition.
    static let all = [requests, brokenAnswers, jobsEnded, jobErrors, leasesLost, webhooks, bytes]
  }

  /// A distribution of durations in seconds.
  package struct Histogram: Hashable, Sendable {
    let name: String
    let help: String
    let labels: [String]
    let bounds: [Double]

    package static let requestSeconds = Histogram(
      name: "zooport_http_request_seconds", help: "Time until the head of an answer was ready, by route.",
      labels: ["route"], bounds: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60])
    static let jobSeconds = Histogram(
      name: "zooport_job_seconds", help: "Time of the attempts that ended a job, by command and state.",
      labels: ["command", "status"], bounds: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400])

    static let all = [requestSeconds, jobSeconds]
  }

  /// A value read at the moment of the scrape.
  package struct Gauge: Sendable {
    let name: String
    let help: String
    let labels: [String]
    var values: [(labels: [String], value: Double)]

    package init(name: String, help: String, labels: [String], values: [(labels: [String], value: Double)]) {
      self.name = name
      self.help = help
      self.labels = labels
      self.values = values
    }
  }

  private let state = Mutex(State())

  package init() {
    // Series that alerts are built on exist before the first event.
    state.withLock { state in
      state.counters[.leasesLost] = [[]: 0]
      state.counters[.webhooks] = Dictionary(
        uniqueKeysWithValues: ["delivered", "postponed", "failed"].map { ([$0], 0) })
      state.counters[.bytes] = Dictionary(
        uniqueKeysWithValues: ["uploaded", "fetched", "converted", "downloaded"].map { ([$0], 0) })
    }
  }

  /// Adds to a counter; `labels` in the order of `counter.labels`.
  package func add(_ counter: Counter, _ labels: [String] = [], by amount: Int = 1) {
    assert(labels.count == counter.labels.count)
    state.withLock { $0.counters[counter, default: [:]][labels, default: 0] += Double(amount) }
  }

  /// Adds an observation.
  package func observe(_ histogram: Histogram, _ labels: [String], _ duration: Duration) {
    assert(labels.count == histogram.labels.count)
    let seconds = max(0, duration.seconds)
    let index = histogram.bounds.firstIndex { seconds <= $0 } ?? histogram.bounds.count
    state.withLock { state in
      let empty = Distribution(buckets: Array(repeating: 0, count: histogram.bounds.count + 1))
      state.histograms[histogram, default: [:]][labels, default: empty].buckets[index] += 1
      state.histograms[histogram, default: [:]][labels, default: empty].sum += seconds
    }
  }

  /// The exposition: all counters and histograms, then `gauges`.
  package func text(gauges: [Gauge]) -> String {
    let state = state.withLock { $0 }
    var text = ""
    for counter in Counter.all {
      text += Self.head(counter.name, counter.help, "counter")
      for (labels, value) in (state.counters[counter] ?? [:]).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        text += Self.line(counter.name, zip(counter.labels, labels), value)
      }
    }
    for histogram in Histogram.all {
      text += Self.head(histogram.name, histogram.help, "histogram")
      let series = (state.histograms[histogram] ?? [:]).sorted { $0.key.lexicographicallyPrecedes($1.key) }
      for (labels, distribution) in series {
        var count = 0
        let pairs = Array(zip(histogram.labels, labels))
        for (bound, observed) in zip(histogram.bounds.map { Self.number($0) } + ["+Inf"], distribution.buckets) {
          count += observed
          text += Self.line(histogram.name + "_bucket", pairs + [("le", bound)], Double(count))
        }
        text += Self.line(histogram.name + "_sum", pairs, distribution.sum)
        text += Self.line(histogram.name + "_count", pairs, Double(count))
      }
    }
    for gauge in gauges {
      text += Self.head(gauge.name, gauge.help, "gauge")
      for series in gauge.values { text += Self.line(gauge.name, zip(gauge.labels, series.labels), series.value) }
    }
    return text
  }

  private static func head(_ name: String, _ help: String, _ type: String) -> String {
    "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }

  private static func line(_ name: String, _ labels: some Sequence<(String, String)>, _ value: Double) -> String {
    let pairs = labels.map { "\($0)=\"\(escape($1))\"" }.joined(separator: ",")
    return "\(name)\(pairs.isEmpty ? "" : "{\(pairs)}") \(number(value))\n"
  }

  private static func number(_ value: Double) -> String {
    Int(exactly: value).map(String.init) ?? "\(value)"
  }

  private static func escape(_ value: String) -> String {
    var text = ""
    for character in value {
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.append(character)
      }
    }
    return text
  }
}
