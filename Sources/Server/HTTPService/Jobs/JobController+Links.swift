import API
import Hummingbird
import Jobs

/// Links to downloads.
extension JobController {
  /// `POST /v1/jobs/{job}/outputs/{output}/links`, and the same of a component: 201 with an address that needs no token.
  @Sendable func link(_ request: Request, context: ServiceContext) async throws -> Response {
    let job = try await find(context)
    let output = try output(of: job, context)
    return try answer(linkTo: "/v1/jobs/\(job.id)/outputs/\(output.name.path)", context)
  }

  /// `POST /v1/jobs/{job}/outputs/links`: the same for the archive of all outputs.
  @Sendable func linkAll(_ request: Request, context: ServiceContext) async throws -> Response {
    let job = try await find(context)
    guard job.status == .succeeded else {
      throw Fault.notFound("job \(job.id) is \(job.status.rawValue) and has no outputs")
    }
    return try answer(linkTo: "/v1/jobs/\(job.id)/outputs", context)
  }

  private func answer(linkTo path: String, _ context: ServiceContext) throws -> Response {
    let link = links.link(to: path, for: context.principal.token, at: .now)
    context.audit(.outputLink, String(path.dropFirst("/v1/".count)))
    return try JSONBody.response(link, status: .created)
  }
}
