import API
import HTTPTypes
import Hummingbird
import Inputs
import Jobs
import NIOCore
import NIOPosix

/// `/healthz`, `/readyz` and `/metrics`.
struct HealthController: Sendable {
  let readiness: Readiness
  let metrics: Metrics
  let store: any JobStore
  let models: ModelDirectory
  let space: FreeSpace

  /// The answer of `/readyz`.
  private struct ReadinessDocument: Encodable {
    let status: String
    let checks: [Readiness.Check]
  }

  /// `GET /healthz`: the process lives and answers. It says nothing about disk or database, so that a full disk does not
  /// make an orchestrator restart the service for ever.
  @Sendable func health(_ request: Request, context: ServiceContext) async throws -> Response {
    try JSONBody.response(["status": "ok"])
  }

  /// `GET /readyz`: 200 when jobs can be taken and run, else 503; either way with every check.
  @Sendable func ready(_ request: Request, context: ServiceContext) async throws -> Response {
    let checks = await readiness.checks()
    let isReady = checks.allSatisfy(\.ok)
    return try JSONBody.response(
      ReadinessDocument(status: isReady ? "ready" : "not ready", checks: checks),
      status: isReady ? .ok : .serviceUnavailable)
  }

  /// `GET /metrics`.
  @Sendable func exposition(_ request: Request, context: ServiceContext) async throws -> Response {
    let load = try await store.load()
    var jobs: [[String]: Int] = [:]
    for status in [JobStatus.queued, .running] { jobs[[status.rawValue, "all"]] = 0 }
    for entry in load.active {
      jobs[[entry.status.rawValue, models.label(of: entry.model)], default: 0] += entry.count
      jobs[[entry.status.rawValue, "all"], default: 0] += entry.count
    }
    let age = load.longestDue.map { max(0, Timestamp.now.milliseconds - $0.milliseconds) } ?? 0
    let space = space
    let free = try? await NIOThreadPool.singleton.runIfActive { try space.available() }
    let text = metrics.text(gauges: [
      .init(
        name: "zooport_jobs", help: "Jobs that are queued or running, by model and (all) together.",
        labels: ["status", "model"],
        values: jobs.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, Double($0.value)) }),
      .init(
        name: "zooport_queue_age_seconds", help: "How long a queued job has been due at most; 0 when none is.",
        labels: [],
        values: [([], Double(age) / 1000)]),
      .init(
        name: "zooport_disk_free_bytes", help: "Bytes that the disk of the data folder can take.", labels: [],
        values: free.map { [([], Double($0))] } ?? []),
      .init(
        name: "zooport_disk_floor_bytes", help: "Bytes that must stay free.", labels: [],
        values: [([], Double(space.floor))]),
    ])
    return Response(
      status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}
