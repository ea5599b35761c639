import API
import Core
import Foundation
import HTTPTypes
import Hummingbird
import Inputs
import Jobs
import NIOCore
import Synchronization

/// `/v1/plans`: what a job would do, from headers alone. Nothing is kept but configs and indexes in the cache.
struct PlanController: Sendable {
  let reader: SubmissionReader
  let uploads: any UploadStore
  let models: ModelDirectory
  let data: DataFolder
  let fetching: Fetching
  let settings: ConversionSettings
  let hub: HubSubmissions
  /// How long a plan may take: somebody waits for it, and others wait for its slot.
  let longest: Duration
  /// The memory that plans beyond a small size take from.
  let memory: MemoryGate
  /// Plans that are being made.
  private let running = PlanSlots()

  init(
    reader: SubmissionReader, uploads: any UploadStore, models: ModelDirectory, data: DataFolder, fetching: Fetching,
    settings: ConversionSettings, hub: HubSubmissions, longest: Duration,
    memory: MemoryGate
  ) {
    self.reader = reader
    self.uploads = uploads
    self.models = models
    self.data = data
    self.fetching = fetching
    self.settings = settings
    self.hub = hub
    self.longest = longest
    self.memory = memory
  }

  /// `POST /v1/plans`: takes the body of a job, answers 200 with the plan, also when the answer is no.
  @Sendable func make(_ request: Request, context: ServiceContext) async throws -> Response {
    let received = try await reader.read(request, context, keepsFiles: true)
    do {
      let response = try await plan(received.submission, context)
      await reader.discard(received.uploads)
      return response
    } catch {
      await reader.discard(received.uploads)
      throw error
    }
  }

  private func plan(_ submission: JobSubmission, _ context: ServiceContext) async throws -> Response {
    var submission = submission
    let job = try await submission.job(models: models, uploads: uploads, hub: hub, for: context.principal)
    let owner = context.principal.ownership.owner
    guard running.begin(for: owner) else {
      throw Fault(
        .unavailable, "too many plans are being made; try again in a moment", retryAfter: .seconds(2))
    }
    defer { running.end(for: owner) }
    let isGone = CancelFlag()
    // Hummingbird does not cancel the handler of a client that leaves.
    context.channel.triggerUserOutboundEvent(ConnectionGuard.LeaveWatched { isGone.set() }, promise: nil)
    let deadline = ContinuousClock.now + longest
    let text = try await withTaskCancellationHandler {
      try await onThread { try plan(job, isCancelled: { isGone.isSet || ContinuousClock.now > deadline }) }
    } onCancel: {
      isGone.set()
    }
    var buffer = ByteBuffer(string: text)
    buffer.writeString("\n")
    return Response(
      status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: buffer))
  }

  private func plan(_ job: Job, isCancelled: @escaping @Sendable () -> Bool) throws -> String {
    var options = job.options
    options.memoryBudget = settings.memoryBudget
    options.threads = settings.threads
    let held = InputMemory(gate: memory)
    let planning = Planning(staging: fetching.staging(isCancelled: isCancelled, progress: { _, _ in }))
    do throws(ConversionError) {
      let outcome = try planning.plan(
        ConversionRequest(
          command: job.command, model: job.model, sourceFormat: job.sourceFormat, targetFormat: job.targetFormat,
          config: "", options: options),
        config: job.config, checkpoint: job.checkpoint,
        memory: held.account(budget: options.memoryBudget, granted: InputMemory.planBytes)
      ) {
        data.upload($0, $1)
      }
      return JSONWriter.renderCompact(.object(outcome.document))
    } catch {
      if held.isRefused {
        throw Fault(
          .unavailable,
          "the memory of the service is in use by jobs and other plans; try again, or submit the job, which waits for it",
          retryAfter: .seconds(30))
      }
      guard error.kind == .cancelled else {
        throw Fault(error)
      }
      // A client that left gets no answer.
      throw Fault(
        .unavailable,
        "the plan was not ready within \(longest.components.seconds) s; try again, or submit the job, which has more time",
        retryAfter: .seconds(60))
    }
  }

  /// Runs blocking work on a thread with the stack that pickles were tried with.
  private func onThread(_ work: @escaping @Sendable () throws -> String) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      let thread = Thread { continuation.resume(with: Result { try work() }) }
      thread.stackSize = 8 << 20
      thread.start()
    }
  }
}

/// Set once.
private final class CancelFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
