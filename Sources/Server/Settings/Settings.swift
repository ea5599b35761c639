import API
import Core
import Foundation
import Inputs
import Jobs
import Logging
import SystemPackage

/// What an operator decides. Each setting is a flag of `zooport serve`, an environment variable, and a line of a file;
/// the former win over the latter.
struct Settings: Sendable {
  var host = "127.0.0.1"
  var port = 8080
  var dataFolder = FilePath("zooport-data")
  /// Connections at the same time; nil is what the limit of open files allows.
  var maximumConnections: Int?
  var workers = 1
  var threads = 1
  var memoryBudget = 256 << 20
  var maximumUpload = 200 << 30
  var diskFloor = 1 << 30
  var fetchLimits = Fetcher.Limits()
  var planTime: Duration = .seconds(60)
  var egress = EgressPolicy()
  var hubEndpoint = Self.standardHub
  var hubToken: HubToken?
  var cacheLimit = 100 << 30
  var retention = Retention()
  var maximumAttempts = 10
  var retry = RetryPolicy()
  var webhookRetry = RetryPolicy.webhooks
  var webhookTimeout = 15
  var lease: Duration = .seconds(30)
  var shutdown: Duration = .seconds(10)
  /// Bytes of the inputs of a small job; 0 makes no difference.
  var smallJob = 64 << 20
  /// Bytes that the buffers of all conversions may take together; nil is enough for all workers.
  var totalMemory: Int?
  var limits = AdmissionLimits()
  /// Nil leaves it to the data folder, which remembers what was said last.
  var requiresTokens: Bool?
  var allowsAnonymous = false
  var visibility = Visibility.owner
  var ui = PageSwitch.on
  var logLevel = Logger.Level.info
  /// Variables that look like settings and are none: perhaps a typing error, perhaps another tool's. Worth a warning.
  var unknownVariables: [String] = []

  /// One row of the table that help texts, `deploy/env.example` and docs/settings.md are made of or checked against.
  struct Definition: Sendable {
    /// The flag without its hyphens; the variable follows from it.
    let name: String
    /// What holds when neither is given, as text.
    let standard: String
    let help: String
    /// True or false; as a flag it takes no value: `--name` and `--no-name`.
    var isSwitch = false

    /// `ZOOPORT_` and the name in capitals.
    var variable: String { "ZOOPORT_" + name.uppercased().split(separator: "-").joined(separator: "_") }
  }

  /// All settings.
  static let table: [Definition] = [
    .init(name: "config", standard: "", help: "Settings file with one `name = value` per line."),
    .init(
      name: "host", standard: "127.0.0.1",
      help: "Address to listen on. An address that other machines can reach requires access tokens or "
        + "--allow-anonymous."),
    .init(name: "port", standard: "8080", help: "Port to listen on. 0 picks a free port."),
    .init(
      name: "max-connections", standard: "half of the open files, at most 8192",
      help: "Maximum concurrent connections. Further clients wait in the accept queue. One client address can use "
        + "at most three quarters."),
    .init(name: "data-dir", standard: "zooport-data", help: "Folder for the database, uploads and outputs."),
    .init(name: "workers", standard: "number of cores", help: "Jobs that run at the same time."),
    .init(name: "threads", standard: "number of cores, at most 4", help: "Threads per conversion."),
    .init(name: "memory-budget", standard: "256MiB", help: "Maximum memory for the buffers of one conversion."),
    .init(
      name: "total-memory", standard: "enough for all workers",
      help: "Maximum memory for the buffers of all conversions together. Jobs wait until enough is free."),
    .init(
      name: "small-job", standard: "64MiB",
      help: "Jobs whose inputs are at most this large are small. With two or more workers, one worker is reserved "
        + "for small jobs. 0 turns this off."),
    .init(
      name: "queue-limit", standard: "10000",
      help: "Maximum queued jobs. Further submissions answer 429. 0 means no limit."),
    .init(name: "token-queue-limit", standard: "1000", help: "Maximum queued jobs per access token. 0 means no limit."),
    .init(
      name: "token-running-limit", standard: "0",
      help: "Maximum running jobs per access token; further ones stay queued. 0 means no limit."),
    .init(
      name: "token-storage-limit", standard: "0",
      help: "Maximum bytes of uploads and outputs per access token. 0 means no limit."),
    .init(name: "max-upload", standard: "200GiB", help: "Maximum size of one uploaded file."),
    .init(
      name: "disk-floor", standard: "1GiB",
      help: "Free disk space to keep. Uploads and jobs that would leave less are refused with 507."),
    .init(name: "max-fetch", standard: "200GiB", help: "Maximum size of one downloaded file."),
    .init(name: "fetch-stall", standard: "30", help: "Seconds without data after which a download is retried."),
    .init(
      name: "fetch-attempts", standard: "4",
      help: "Attempts for a request that makes no progress. Downloads and streamed reads are retried for longer: "
        + "see --fetch-patience."),
    .init(
      name: "fetch-patience", standard: "15",
      help: "Minutes for which a download or a streamed read that makes no progress is retried."),
    .init(
      name: "fetch-rate", standard: "4KiB",
      help: "Minimum bytes per second of a transfer, measured over five minutes. A slower transfer is retried. 0 "
        + "means no minimum."),
    .init(
      name: "fetch-time", standard: "1440",
      help: "Time limit of one HTTP request of a download, in minutes. A longer download continues with a new "
        + "request."),
    .init(
      name: "plan-time", standard: "60",
      help: "Time limit of a plan, in seconds. A plan that takes longer answers 503."),
    .init(name: "fetch-connections", standard: "4", help: "Files of one job that are downloaded at the same time."),
    .init(
      name: "cache-limit", standard: "100GiB",
      help: "Maximum size of the cache of downloaded files. Files that a job uses are not evicted."),
    .init(
      name: "hub-endpoint", standard: "https://huggingface.co",
      help: "Base URL of the model hub or a mirror. HF_ENDPOINT is used if this is not set."),
    .init(
      name: "hub-token-file", standard: "",
      help: "File with the access token for the hub. HF_TOKEN is used if this is not set."),
    .init(
      name: "allow-private-fetch", standard: "",
      help: "Private addresses that downloads and webhooks may connect to: CIDR blocks, addresses and host names, "
        + "separated by commas."),
    .init(
      name: "fetch-ca-file", standard: "",
      help: "PEM file of certificate authorities for downloads and webhooks. It replaces the system's."),
    .init(
      name: "keep-inputs", standard: "24",
      help: "Hours until an unused upload is deleted, counted from its last use. 0 keeps uploads forever."),
    .init(
      name: "keep-partial", standard: "24",
      help: "Hours until an unfinished upload or download is deleted, counted from its last bytes. 0 keeps them "
        + "forever."),
    .init(
      name: "keep-outputs", standard: "168",
      help: "Hours until an ended job and its outputs are deleted, unless the job is pinned. 0 keeps jobs forever."),
    .init(
      name: "max-attempts", standard: "10",
      help: "Crashes after which a job is marked failed. A job that was running when the service crashed twice is "
        + "retried alone; if the service crashes this many times while it runs, it fails."),
    .init(
      name: "retries", standard: "4",
      help: "Retries of a job after a temporary fault, such as a full disk or a failed download."),
    .init(
      name: "retry-delay", standard: "30",
      help: "Seconds before the first retry of a job. The delay doubles with each retry, up to 900 s."),
    .init(name: "webhook-retries", standard: "14", help: "Retries of a webhook that the receiver did not accept."),
    .init(
      name: "webhook-delay", standard: "5",
      help: "Seconds before the first retry of a webhook. The delay doubles with each retry, up to 3 h."),
    .init(name: "webhook-timeout", standard: "15", help: "Seconds that the receiver of a webhook has to answer."),
    .init(
      name: "lease", standard: "30",
      help: "Seconds after which a job of a worker that stopped responding is run again."),
    .init(name: "shutdown", standard: "10", help: "Seconds that open requests get to finish when the service stops."),
    .init(
      name: "require-tokens", standard: "false",
      help: "Refuse every request without an access token, even while no token exists. The data folder remembers "
        + "this setting.",
      isSwitch: true),
    .init(
      name: "allow-anonymous", standard: "false",
      help: "Allow requests without a token on an address that other machines can reach, as long as no access "
        + "token exists.",
      isSwitch: true),
    .init(
      name: "visibility", standard: "owner",
      help: "Jobs and uploads that a token can see: its own (owner), those of its team (team), or all."),
    .init(name: "ui", standard: "on", help: "Web page at `/`: on or off. With off, `/` answers 404."),
    .init(name: "log-level", standard: "info", help: "trace, debug, info, notice, warning, error or critical."),
  ]

  /// Whether the service has a page.
  enum PageSwitch: String, Sendable, CaseIterable {
    case on
    case off
  }

  /// Everything that is wrong with the settings, one line each.
  struct Invalid: Error, CustomStringConvertible {
    let problems: [String]
    var description: String { problems.joined(separator: "\n") }
  }

  /// Reads the settings, and the file that they name if they name one. `flags` is by name, `environment` by variable;
  /// empty values count as absent. Throws `Invalid` with all faults together.
  init(flags: [String: String], environment: [String: String]) throws(Invalid) {
    let names = SettingsReader(flags: flags, environment: environment, file: nil)
    try self.init(flags: flags, environment: environment, file: names.text("config").map(SettingsFile.init(path:)))
  }

  /// Reads the settings with a file that was read before.
  init(flags: [String: String], environment: [String: String], file: SettingsFile?) throws(Invalid) {
    var reader = SettingsReader(flags: flags, environment: environment, file: file)
    let cores = ProcessInfo.processInfo.activeProcessorCount
    host = reader.text("host") ?? host
    port = reader.number("port", in: 0...65535) ?? port
    maximumConnections = reader.number("max-connections", in: 1...1_000_000)
    dataFolder = reader.text("data-dir").map { FilePath($0) } ?? dataFolder
    workers = reader.number("workers", in: 1...256) ?? cores
    threads = reader.number("threads", in: 1...256) ?? min(cores, 4)
    memoryBudget = reader.size("memory-budget", atLeast: 1 << 20) ?? memoryBudget
    smallJob = reader.size("small-job", atLeast: 0) ?? smallJob
    totalMemory = reader.size("total-memory", atLeast: 1 << 20)
    let least = WorkLane.leastMemory(workers: workers, smallJob: smallJob, budget: memoryBudget)
    if let total = totalMemory, total < least {
      reader.refuse(
        "total-memory", ByteCount(total).description,
        "\(ByteCount(least)) at least, so that a job with the whole memory-budget and a small-job can run")
    }
    limits.queue = reader.limit("queue-limit", default: limits.queue)
    limits.queuePerToken = reader.limit("token-queue-limit", default: limits.queuePerToken)
    limits.runningPerToken = reader.limit("token-running-limit", default: limits.runningPerToken)
    if let bytes = reader.size("token-storage-limit", atLeast: 0) { limits.storagePerToken = bytes == 0 ? nil : bytes }
    maximumUpload = reader.size("max-upload", atLeast: 1) ?? maximumUpload
    diskFloor = reader.size("disk-floor", atLeast: 0) ?? diskFloor
    fetchLimits.bytes = reader.size("max-fetch", atLeast: 1) ?? fetchLimits.bytes
    fetchLimits.stallSeconds = reader.number("fetch-stall", in: 1...3600) ?? fetchLimits.stallSeconds
    fetchLimits.attempts = reader.number("fetch-attempts", in: 1...100) ?? fetchLimits.attempts
    fetchLimits.totalSeconds = reader.number("fetch-time", in: 1...35_000).map { $0 * 60 } ?? fetchLimits.totalSeconds
    if let minutes = reader.number("fetch-patience", in: 0...1440) { fetchLimits.patience = .seconds(minutes * 60) }
    planTime = reader.number("plan-time", in: 1...3600).map { .seconds($0) } ?? planTime
    fetchLimits.leastRate = reader.size("fetch-rate", atLeast: 0) ?? fetchLimits.leastRate
    fetchLimits.connections = reader.number("fetch-connections", in: 1...64) ?? fetchLimits.connections
    cacheLimit = reader.size("cache-limit", atLeast: 0) ?? cacheLimit
    readHub(&reader, environment)
    if let entries = reader.text("allow-private-fetch") {
      do {
        egress = try EgressPolicy(allowing: entries.split(separator: ",").map { String($0.trimmingSpaces) })
      } catch {
        reader.refuse("allow-private-fetch", error.entry, "CIDR blocks, addresses or host names")
      }
    }
    if let path = reader.text("fetch-ca-file") {
      let text = try? String(contentsOfFile: path, encoding: .utf8)
      if text?.contains("-----BEGIN CERTIFICATE-----") != true {
        reader.refuse("fetch-ca-file", path, "a readable file of certificates in PEM")
      }
      egress.authorities = path
    }
    retention.inputs = reader.hours("keep-inputs", default: retention.inputs)
    retention.partials = reader.hours("keep-partial", default: retention.partials)
    retention.outputs = reader.hours("keep-outputs", default: retention.outputs)
    maximumAttempts = reader.number("max-attempts", in: 1...1000) ?? maximumAttempts
    retry.retries = reader.number("retries", in: 0...100) ?? retry.retries
    retry.delay = reader.number("retry-delay", in: 1...900).map { .seconds($0) } ?? retry.delay
    webhookRetry.retries = reader.number("webhook-retries", in: 0...100) ?? webhookRetry.retries
    webhookRetry.delay = reader.number("webhook-delay", in: 1...10_800).map { .seconds($0) } ?? webhookRetry.delay
    webhookTimeout = reader.number("webhook-timeout", in: 1...300) ?? webhookTimeout
    lease = reader.number("lease", in: 3...3600).map { .seconds($0) } ?? lease
    shutdown = reader.number("shutdown", in: 0...3600).map { .seconds($0) } ?? shutdown
    requiresTokens = reader.flag("require-tokens") ?? requiresTokens
    allowsAnonymous = reader.flag("allow-anonymous") ?? allowsAnonymous
    visibility = reader.choice("visibility") ?? visibility
    ui = reader.choice("ui") ?? ui
    logLevel = reader.choice("log-level") ?? logLevel
    unknownVariables = environment.keys.sorted().filter { variable in
      variable.hasPrefix("ZOOPORT_") && !ClientOptions.variables.contains(variable)
        && !Self.table.contains { $0.variable == variable }
    }
    guard reader.problems.isEmpty else { throw Invalid(problems: reader.problems) }
  }

  /// The hub, and what opens it. The variables are those of huggingface_hub.
  private mutating func readHub(_ reader: inout SettingsReader, _ environment: [String: String]) {
    if let text = reader.text("hub-endpoint") ?? environment["HF_ENDPOINT"].flatMap({ $0.isEmpty ? nil : $0 }) {
      if let url = try? SourceURL(text), url.text == url.withoutQuery {
        hubEndpoint = url
      } else {
        // Not shown: it may hold a password.
        let source = reader.source("hub-endpoint") ?? "HF_ENDPOINT"
        reader.refuse("\(source) must be a URL such as https://huggingface.co, without user, password and query")
      }
    }
    if let path = reader.text("hub-token-file") {
      let text = try? String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
      hubToken = text.flatMap(HubToken.init)
      if hubToken == nil { reader.refuse("hub-token-file", path, "a readable file with a token of ASCII characters") }
    } else if let text = environment["HF_TOKEN"]?.trimmingCharacters(in: .whitespacesAndNewlines), !text.isEmpty {
      hubToken = HubToken(text)
      // Not refused with the others: that would show it.
      if hubToken == nil { reader.refuse("HF_TOKEN is no token: it must be printable ASCII without spaces") }
    }
  }

  private static let standardHub: SourceURL = {
    guard let url = try? SourceURL("https://huggingface.co") else { preconditionFailure("a constant URL") }
    return url
  }()
}
