import ArgumentParser
import Core
import Foundation
import Jobs
import Logging

/// `zooport serve`: the job service.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Run the conversion service over HTTP.",
    discussion: """
      Listens on 127.0.0.1:8080 unless told otherwise and prints the address once it takes connections. Logs go to \
      standard error, one JSON object a line. Every option can also be given as an environment variable, such as \
      ZOOPORT_DATA_DIR for --data-dir, or in the file of --config. SIGTERM stops the service; running jobs go back into the queue.
      """)

  @Option(help: help("config")) var config: String?
  @Option(help: help("host")) var host: String?
  @Option(help: help("port")) var port: String?
  @Option(help: help("max-connections")) var maxConnections: String?
  @Option(help: help("data-dir")) var dataDir: String?
  @Option(help: help("workers")) var workers: String?
  @Option(help: help("threads")) var threads: String?
  @Option(help: help("memory-budget")) var memoryBudget: String?
  @Option(help: help("total-memory")) var totalMemory: String?
  @Option(help: help("small-job")) var smallJob: String?
  @Option(help: help("queue-limit")) var queueLimit: String?
  @Option(help: help("token-queue-limit")) var tokenQueueLimit: String?
  @Option(help: help("token-running-limit")) var tokenRunningLimit: String?
  @Option(help: help("token-storage-limit")) var tokenStorageLimit: String?
  @Option(help: help("max-upload")) var maxUpload: String?
  @Option(help: help("disk-floor")) var diskFloor: String?
  @Option(help: help("max-fetch")) var maxFetch: String?
  @Option(help: help("fetch-stall")) var fetchStall: String?
  @Option(help: help("fetch-attempts")) var fetchAttempts: String?
  @Option(help: help("fetch-patience")) var fetchPatience: String?
  @Option(help: help("fetch-rate")) var fetchRate: String?
  @Option(help: help("fetch-time")) var fetchTime: String?
  @Option(help: help("plan-time")) var planTime: String?
  @Option(help: help("fetch-connections")) var fetchConnections: String?
  @Option(help: help("cache-limit")) var cacheLimit: String?
  @Option(help: help("hub-endpoint")) var hubEndpoint: String?
  @Option(help: help("hub-token-file")) var hubTokenFile: String?
  @Option(help: help("allow-private-fetch")) var allowPrivateFetch: String?
  @Option(help: help("fetch-ca-file")) var fetchCaFile: String?
  @Option(help: help("keep-inputs")) var keepInputs: String?
  @Option(help: help("keep-partial")) var keepPartial: String?
  @Option(help: help("keep-outputs")) var keepOutputs: String?
  @Option(help: help("max-attempts")) var maxAttempts: String?
  @Option(help: help("retries")) var retries: String?
  @Option(help: help("retry-delay")) var retryDelay: String?
  @Option(help: help("webhook-retries")) var webhookRetries: String?
  @Option(help: help("webhook-delay")) var webhookDelay: String?
  @Option(help: help("webhook-timeout")) var webhookTimeout: String?
  @Option(help: help("lease")) var lease: String?
  @Option(help: help("shutdown")) var shutdown: String?
  @Flag(inversion: .prefixedNo, help: help("require-tokens")) var requireTokens: Bool?
  @Flag(inversion: .prefixedNo, help: help("allow-anonymous")) var allowAnonymous: Bool?
  @Option(help: help("visibility")) var visibility: String?
  @Option(help: help("ui")) var ui: String?
  @Option(help: help("log-level")) var logLevel: String?

  /// The flags that were given, by name.
  var flags: [String: String] {
    [
      "config": config, "host": host, "port": port, "data-dir": dataDir, "workers": workers, "threads": threads,
      "memory-budget": memoryBudget, "max-upload": maxUpload, "disk-floor": diskFloor, "max-fetch": maxFetch,
      "fetch-stall": fetchStall, "fetch-patience": fetchPatience, "fetch-rate": fetchRate,
      "plan-time": planTime,
      "fetch-time": fetchTime, "fetch-connections": fetchConnections, "cache-limit": cacheLimit,
      "hub-endpoint": hubEndpoint, "hub-token-file": hubTokenFile,
      "fetch-attempts": fetchAttempts, "allow-private-fetch": allowPrivateFetch, "fetch-ca-file": fetchCaFile,
      "keep-inputs": keepInputs, "keep-partial": keepPartial,
      "keep-outputs": keepOutputs, "max-attempts": maxAttempts,
      "webhook-retries": webhookRetries, "webhook-delay": webhookDelay, "webhook-timeout": webhookTimeout,
      "retries": retries, "retry-delay": retryDelay, "lease": lease, "shutdown": shutdown, "log-level": logLevel,
      "require-tokens": requireTokens.map(String.init), "allow-anonymous": allowAnonymous.map(String.init),
      "visibility": visibility, "total-memory": totalMemory, "small-job": smallJob, "queue-limit": queueLimit,
      "token-queue-limit": tokenQueueLimit, "token-running-limit": tokenRunningLimit,
      "token-storage-limit": tokenStorageLimit, "max-connections": maxConnections, "ui": ui,
    ].compactMapValues { $0 }
  }

  func run() async throws {
    let settings: Settings
    do {
      settings = try Settings(flags: flags, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw ValidationError(error.description)
    }
    // A client that goes away while it is being written to must not end the process.
    signal(SIGPIPE, SIG_IGN)
    LoggingSystem.bootstrap { _ in JSONLogHandler(level: settings.logLevel) }
    let logger = Logger(label: "zooport")
    for variable in settings.unknownVariables {
      logger.warning("variable is no setting", metadata: ["variable": "\(variable)"])
    }
    do {
      let app = try App(
        settings: settings, runner: CoreRunner(), listings: Catalogue.listings, logger: logger)
      try await app.run { port in
        let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
        FileHandle.standardOutput.write(Data("Zooport listens on http://\(host):\(port)\n".utf8))
        logger.info("service started", metadata: ["host": "\(settings.host)", "port": "\(port)"])
      }
    } catch {
      logger.critical("service failed", metadata: ["cause": "\(error)"])
      throw ExitCode(1)
    }
    logger.info("service stopped")
  }

  static func help(_ name: String) -> ArgumentHelp {
    guard let definition = Settings.table.first(where: { $0.name == name }) else { return "" }
    let standard = definition.standard.isEmpty ? "" : " (default: \(definition.standard))"
    return ArgumentHelp(stringLiteral: definition.help + standard)
  }
}
