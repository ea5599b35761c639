import Hummingbird

/// `/healthz`: the process lives and answers. It says nothing about disk or database, so that a full disk does not make
/// an orchestrator restart the service for ever.
struct HealthController: Sendable {
  /// `GET /healthz`.
  @Sendable func health(_ request: Request, context: BasicRequestContext) async throws -> Response {
    try JSONBody.response(["status": "ok"])
  }
}
