import API
import Core
import Foundation
import HTTPService
import Inputs
import Jobs
import Logging
import SQLiteStore
import ServiceLifecycle
import SystemPackage
import UnixSignals

/// The service put together: folder, database, workers, server.
struct App<Runner: ConversionRunner> {
  let settings: Settings
  let logger: Logger
  let data: DataFolder
  let jobs: any JobStore
  let tokens: any TokenStore
  let tokenUses: TokenUses
  let pool: WorkerPool<Runner>
  let webhooks: WebhookSender
  let server: APIServer
  let janitor: Janitor
  /// Held as long as the app lives.
  private let lock: FolderLock

  /// Opens the data folder, takes its lock, migrates the database, sweeps leftovers and puts interrupted jobs back.
  ///
  /// Throws `FolderLock.Taken`, `DataFolder.LostDatabase`, `DataFolder.ForeignDatabase`, `Exposure.Refused`, `Errno` or a database error. Nothing runs and nothing listens yet.
  init(settings: Settings, runner: Runner, listings: [ModelListing], logger: Logger) throws {
    var settings = settings
    self.logger = logger
    data = try DataFolder(root: settings.dataFolder)
    lock = try FolderLock(path: data.lock)
    let database = try data.openDatabase()
    settings.requiresTokens = try database.requiresTokens(settings.requiresTokens)
    self.settings = settings
    let stores = database.stores
    (jobs, tokens) = (stores.jobs, stores.tokens)
    try Exposure.check(settings, hasTokens: !tokens.tokens().isEmpty, logger: logger)
    tokenUses = TokenUses(tokens: tokens, logger: logger)
    let vault = try SecretVault(keyFile: data.tokenKey)

    let swept = try data.sweep(
      uploads: stores.uploads.uploads(), partials: stores.partials.partials(), succeeded: stores.jobs.succeededJobs())
    if swept > 0 { logger.info("leftovers removed", metadata: ["folders": "\(swept)"]) }
    let metrics = Metrics()
    let models = ModelDirectory(listings: listings)
    let reporter = JobReporter(metrics: metrics, models: models)
    let requeued = try stores.jobs.requeueAbandoned(
      before: nil, maximumAttempts: settings.maximumAttempts, at: .now)
    for job in requeued {
      if job.status == .failed { reporter.gaveUp(model: job.model) }
      logger.info("job interrupted", metadata: ["job": "\(job.id)", "status": "\(job.status.rawValue)"])
    }

    let running = RunningJobs()
    let vitals = WorkerVitals()
    let cache = try DownloadCache(root: data.cache, limit: settings.cacheLimit)
    // The limit may be another than that of the process before. What goes by its time waits for the janitor.
    cache.shrink()
    let space = FreeSpace(path: data.root, floor: settings.diskFloor) { cache.makeRoom($0, keeping: $1) }
    let signal = WorkSignal()
    let admission = Admission(limits: settings.limits, space: space)
    let lanes = WorkLane.lanes(
      workers: settings.workers, smallJob: settings.smallJob, totalMemory: settings.totalMemory,
      budget: settings.memoryBudget)
    // Without a limit on the sum, plans and names have memory beside that of the workers.
    let spareMemory =
      settings.totalMemory == nil
      ? MemoryGate(bytes: settings.workers * settings.memoryBudget) : lanes.last?.gate ?? MemoryGate(bytes: 0)
    let fetching = Fetching(
      settings: settings.fetching, cache: cache, vault: vault, space: space)
    let conversion = ConversionSettings(memoryBudget: settings.memoryBudget, threads: settings.threads)
    let data = data
    pool = WorkerPool(
      workers: lanes.enumerated().map { index, lane in
        Worker(
          name: "worker-\(index)", store: stores.jobs, data: data, runner: runner, fetching: fetching, running: running,
          signal: signal, settings: conversion, lane: lane,
          spareMemory: spareMemory,
          runningPerToken: settings.limits.runningPerToken, admission: admission, vitals: vitals, lease: settings.lease,
          retry: settings.retry,
          reporter: reporter, logger: logger)
      },
      store: stores.jobs, running: running, signal: signal, lease: settings.lease,
      maximumAttempts: settings.maximumAttempts, vitals: vitals, reporter: reporter, logger: logger)
    webhooks = WebhookSender(
      store: stores.webhooks, vault: vault, policy: settings.egress, retry: settings.webhookRetry,
      timeoutSeconds: settings.webhookTimeout, message: { try $0.webhookMessage }, metrics: metrics,
      logger: logger)
    janitor = Janitor(
      jobs: stores.jobs, uploads: stores.uploads, partials: stores.partials, data: data, cache: cache,
      retention: settings.retention, logger: logger)
    server = APIServer(
      .init(
        stores: stores, data: data, fetching: fetching, admission: admission, tokenUses: tokenUses, models: models,
        running: running, signal: signal, vitals: vitals, memory: spareMemory, reporter: reporter, metrics: metrics),
      settings: settings.server, logger: logger)
  }

  /// Serves until SIGTERM or SIGINT. Calls `onListening` with the port once connections are taken.
  func run(onListening: @escaping @Sendable (Int) async -> Void) async throws {
    var configuration = ServiceGroupConfiguration(
      // Shut down in reverse: first the workers give their jobs back, then open requests end.
      services: [server.service(onListening: onListening), tokenUses, janitor, webhooks, pool],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger.quiet)
    configuration.maximumGracefulShutdownDuration = settings.shutdown
    try await ServiceGroup(configuration: configuration).run()
  }
}
