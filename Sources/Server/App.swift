import Core
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import SystemPackage
import UnixSignals

/// The service put together: folder, database, workers, routes.
struct App<Runner: ConversionRunner> {
  let settings: Settings
  let logger: Logger
  let data: DataFolder
  let jobs: any JobStore
  let metrics: Metrics
  let access: AccessControl
  let tokens: any TokenStore
  let tokenUses: TokenUses
  let pool: WorkerPool<Runner>
  let webhooks: WebhookSender
  let controllers: Controllers
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
    let store = SQLiteJobStore(database: database)
    let uploads = SQLiteUploadStore(database: database)
    let partials = SQLitePartialUploadStore(database: database)
    jobs = store
    let tokens = SQLiteTokenStore(database: database)
    self.tokens = tokens
    try Exposure.check(settings, hasTokens: !tokens.tokens().isEmpty, logger: logger)
    tokenUses = TokenUses(tokens: tokens, logger: logger)
    let vault = try SecretVault(keyFile: data.tokenKey)
    let links = DownloadLinks(vault: vault, tokens: tokens)
    access = AccessControl(tokens: tokens, links: links, uses: tokenUses, settings: settings)

    let swept = try data.sweep(
      uploads: uploads.uploads(), partials: partials.partials(), succeeded: store.succeededJobs())
    if swept > 0 { logger.info("leftovers removed", metadata: ["folders": "\(swept)"]) }
    let metrics = Metrics()
    self.metrics = metrics
    let models = ModelDirectory(listings: listings)
    let reporter = JobReporter(metrics: metrics, models: models)
    let requeued = try store.requeueAbandoned(
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
      settings: settings, cache: cache, vault: vault, space: space)
    let hub = HubSubmissions(endpoint: settings.hubEndpoint, vault: fetching.vault)
    let data = data
    pool = WorkerPool(
      workers: lanes.enumerated().map { index, lane in
        Worker(
          name: "worker-\(index)", store: store, data: data, runner: runner, fetching: fetching, running: running,
          signal: signal, settings: .init(memoryBudget: settings.memoryBudget, threads: settings.threads), lane: lane,
          spareMemory: spareMemory,
          runningPerToken: settings.limits.runningPerToken, admission: admission, vitals: vitals, lease: settings.lease,
          retry: settings.retry,
          reporter: reporter, logger: logger)
      },
      store: store, running: running, signal: signal, lease: settings.lease,
      maximumAttempts: settings.maximumAttempts, vitals: vitals, reporter: reporter, logger: logger)
    webhooks = WebhookSender(
      store: store, vault: fetching.vault, settings: settings, metrics: metrics, logger: logger)
    janitor = Janitor(
      jobs: store, uploads: uploads, partials: partials, data: data, cache: cache, retention: settings.retention,
      logger: logger)
    let tus = TusController(
      uploads: uploads, partials: partials, folder: data, sessions: UploadSessions(), limit: settings.maximumUpload,
      admission: admission, lifetime: settings.retention.partials, metrics: metrics)
    let reader = SubmissionReader(
      data: data, fileLimit: settings.maximumUpload, admission: admission, uploads: uploads)
    let queue = QueueOrder(store: store)
    controllers = Controllers(
      jobs: JobController(
        store: store, uploads: uploads, models: models, data: data, running: running, signal: signal,
        follower: JobFollower(store: store, running: running, signal: signal, queue: queue), queue: queue,
        reader: reader, admission: admission, reporter: reporter, hub: hub, links: links),
      uploads: UploadController(
        store: uploads, tus: tus, folder: data, limit: settings.maximumUpload, admission: admission, metrics: metrics),
      tus: tus,
      models: ModelController(directory: models),
      plans: PlanController(
        reader: reader, uploads: uploads, models: models, data: data, fetching: fetching,
        settings: .init(memoryBudget: settings.memoryBudget, threads: settings.threads), hub: hub,
        longest: settings.planTime,
        memory: spareMemory),
      health: HealthController(
        readiness: Readiness(
          store: store, vitals: vitals, signal: signal, space: space, workers: settings.workers,
          lease: settings.lease),
        metrics: metrics, store: store, models: models, space: space),
      me: MeController(uploads: uploads, space: space, settings: settings),
      page: PageController(isOn: settings.ui == .on))
  }

  /// The HTTP side alone. `services` run beside it; tests pass the pool, `run` keeps it in a group of its own order.
  func http(
    services: [any Service] = [], guardLimits: ConnectionGuard.Limits? = nil,
    onListening: @escaping @Sendable (Int) async -> Void = { _ in }
  ) -> some ApplicationProtocol {
    let limits = guardLimits ?? ConnectionGuard.Limits()
    let connections = connections
    let share = AddressShare(of: connections)
    return Application(
      responder: ProblemResponder(
        routes: RouteTable(controllers), access: access, metrics: metrics, logLevel: logger.logLevel),
      server: .init { HTTPConnection(responder: $0, limits: limits, share: share) },
      configuration: ApplicationConfiguration(
        address: .hostname(settings.host, port: settings.port),
        availableConnectionsDelegate: .maximum(connections, logger: quiet)),
      services: services,
      onServerRunning: { await onListening($0.localAddress?.port ?? 0) },
      logger: quiet)
  }

  /// Connections at the same time; more wait to be taken.
  private var connections: Int {
    let descriptors = DescriptorLimit.raise()
    let connections = DescriptorLimit.connections(settings.maximumConnections, of: descriptors)
    if let wanted = settings.maximumConnections, wanted > connections {
      logger.warning(
        "fewer connections than asked for: the process may not open more files",
        metadata: ["connections": "\(connections)", "descriptors": "\(descriptors)"])
    }
    return connections
  }

  /// Serves until SIGTERM or SIGINT. Calls `onListening` with the port once connections are taken.
  func run(onListening: @escaping @Sendable (Int) async -> Void) async throws {
    var configuration = ServiceGroupConfiguration(
      // Shut down in reverse: first the workers give their jobs back, then open requests end.
      services: [http(onListening: onListening), tokenUses, janitor, webhooks, pool],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    configuration.maximumGracefulShutdownDuration = settings.shutdown
    try await ServiceGroup(configuration: configuration).run()
  }

  /// Libraries speak up for warnings only; the service's own lines say the rest.
  private var quiet: Logger {
    var logger = logger
    logger.logLevel = max(logger.logLevel, .notice)
    return logger
  }
}
