import Core
import Hummingbird
import HummingbirdCore
package import Inputs
package import Jobs
package import Logging
import NIOCore
package import ServiceLifecycle

/// The REST API and the page, put together: connections, access, routes and their controllers.
package struct APIServer: Sendable {
  /// What an operator decides about it.
  package struct Settings: Sendable {
    package var host: String
    var port: Int
    /// Connections at the same time; nil is what the limit of open files allows.
    var maximumConnections: Int?
    /// Tokens are required even while none exists.
    package var requiresTokens: Bool
    package var allowsAnonymous: Bool
    package var visibility: Visibility
    /// Bytes of the largest file that a client may send.
    var maximumUpload: Int
    /// How long an unfinished upload is kept; nil for ever.
    var partialLifetime: Duration?
    /// The longest time that a plan may take.
    var planTime: Duration
    var conversion: ConversionSettings
    var hubEndpoint: SourceURL
    var hasPage: Bool
    /// Workers that readiness waits for, and the lease that they keep.
    package var workers: Int
    package var lease: Duration

    package init(
      host: String, port: Int, maximumConnections: Int? = nil, requiresTokens: Bool, allowsAnonymous: Bool,
      visibility: Visibility, maximumUpload: Int, partialLifetime: Duration? = nil, planTime: Duration,
      conversion: ConversionSettings, hubEndpoint: SourceURL, hasPage: Bool, workers: Int, lease: Duration
    ) {
      self.host = host
      self.port = port
      self.maximumConnections = maximumConnections
      self.requiresTokens = requiresTokens
      self.allowsAnonymous = allowsAnonymous
      self.visibility = visibility
      self.maximumUpload = maximumUpload
      self.partialLifetime = partialLifetime
      self.planTime = planTime
      self.conversion = conversion
      self.hubEndpoint = hubEndpoint
      self.hasPage = hasPage
      self.workers = workers
      self.lease = lease
    }
  }

  /// What it shares with the workers, which run beside it.
  package struct Shared: Sendable {
    let stores: Stores
    let data: DataFolder
    let fetching: Fetching
    let admission: Admission
    let tokenUses: TokenUses
    let models: ModelDirectory
    let running: RunningJobs
    let signal: WorkSignal
    let vitals: WorkerVitals
    /// Where plans take the memory for names and values.
    let memory: MemoryGate
    let reporter: JobReporter
    let metrics: Metrics

    package init(
      stores: Stores, data: DataFolder, fetching: Fetching, admission: Admission, tokenUses: TokenUses,
      models: ModelDirectory, running: RunningJobs, signal: WorkSignal, vitals: WorkerVitals, memory: MemoryGate,
      reporter: JobReporter, metrics: Metrics
    ) {
      self.stores = stores
      self.data = data
      self.fetching = fetching
      self.admission = admission
      self.tokenUses = tokenUses
      self.models = models
      self.running = running
      self.signal = signal
      self.vitals = vitals
      self.memory = memory
      self.reporter = reporter
      self.metrics = metrics
    }
  }

  private let settings: Settings
  let controllers: Controllers
  private let access: AccessControl
  private let metrics: Metrics
  private let logger: Logger

  package init(_ shared: Shared, settings: Settings, logger: Logger) {
    self.settings = settings
    self.logger = logger
    metrics = shared.metrics
    let (stores, data, admission) = (shared.stores, shared.data, shared.admission)
    let links = DownloadLinks(vault: shared.fetching.vault, tokens: stores.tokens)
    access = AccessControl(
      tokens: stores.tokens, links: links, uses: shared.tokenUses, visibility: settings.visibility,
      isRequired: settings.requiresTokens,
      local: LocalAccess(host: settings.host, allowsAnonymous: settings.allowsAnonymous))
    let hub = HubSubmissions(endpoint: settings.hubEndpoint, vault: shared.fetching.vault)
    let tus = TusController(
      uploads: stores.uploads, partials: stores.partials, folder: data, sessions: UploadSessions(),
      limit: settings.maximumUpload, admission: admission, lifetime: settings.partialLifetime, metrics: metrics)
    let reader = SubmissionReader(
      data: data, fileLimit: settings.maximumUpload, admission: admission, uploads: stores.uploads)
    let queue = QueueOrder(store: stores.jobs)
    let limits = admission.limits
    controllers = Controllers(
      jobs: JobController(
        store: stores.jobs, uploads: stores.uploads, models: shared.models, data: data, running: shared.running,
        signal: shared.signal,
        follower: JobFollower(store: stores.jobs, running: shared.running, signal: shared.signal, queue: queue),
        queue: queue, reader: reader, admission: admission, reporter: shared.reporter, hub: hub, links: links),
      uploads: UploadController(
        store: stores.uploads, tus: tus, folder: data, limit: settings.maximumUpload, admission: admission,
        metrics: metrics),
      tus: tus,
      models: ModelController(directory: shared.models),
      plans: PlanController(
        reader: reader, uploads: stores.uploads, models: shared.models, data: data, fetching: shared.fetching,
        settings: settings.conversion, hub: hub, longest: settings.planTime, memory: shared.memory),
      health: HealthController(
        readiness: Readiness(
          store: stores.jobs, vitals: shared.vitals, signal: shared.signal, space: admission.space,
          workers: settings.workers, lease: settings.lease),
        metrics: metrics, store: stores.jobs, models: shared.models, space: admission.space),
      me: MeController(
        uploads: stores.uploads, space: admission.space, visibility: settings.visibility,
        limits: .init(
          maxUpload: settings.maximumUpload, queueLimit: limits.queue, tokenQueueLimit: limits.queuePerToken,
          tokenRunningLimit: limits.runningPerToken, tokenStorageLimit: limits.storagePerToken)),
      page: PageController(isOn: settings.hasPage))
  }

  /// What listens and answers. `onListening` is called with the port once connections are taken.
  package func service(onListening: @escaping @Sendable (Int) async -> Void) -> any Service {
    application(services: [], guardLimits: .init(), onListening: onListening)
  }

  /// The same for tests, which have less time. `services` run beside it.
  func application(
    services: [any Service], guardLimits: ConnectionGuard.Limits,
    onListening: @escaping @Sendable (Int) async -> Void = { _ in }
  ) -> some ApplicationProtocol {
    let connections = connections
    let share = AddressShare(of: connections)
    let quiet = logger.quiet
    return Application(
      responder: ProblemResponder(
        routes: RouteTable(controllers), access: access, metrics: metrics, logLevel: logger.logLevel),
      server: .init { HTTPConnection(responder: $0, limits: guardLimits, share: share) },
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
}

extension Logger {
  /// For libraries, which speak up for warnings only; the service's own lines say the rest.
  package var quiet: Logger {
    var logger = self
    logger.logLevel = max(logger.logLevel, .notice)
    return logger
  }
}
