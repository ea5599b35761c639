import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Finds the handler, turns every thrown error into problem+json, puts the request id on every answer, counts it and
/// writes one log line for it.
///
/// An error that is no `Problem` becomes a 500 whose detail says nothing; the log has the cause.
struct ProblemResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  let routes: RouteTable
  let metrics: Metrics
  /// Of the service's own lines; the library that calls this one is kept quieter.
  let logLevel: Logger.Level

  func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
    let start = ContinuousClock.now
    let id = context.logger[metadataKey: "hb.request.id"]?.description ?? Identifier.generate().description
    var context = context
    context.logger[metadataKey: "hb.request.id"] = nil
    context.logger.logLevel = logLevel
    context.logger[metadataKey: "request"] = "\(id)"
    var metadata: Logger.Metadata = ["method": "\(request.method)", "path": "\(request.uri.path)"]
    var response: Response
    var route = "none"
    do {
      let match = try routes.match(request)
      route = match.route.path
      response = try await match.respond(to: request, context: context)
    } catch {
      let problem = Self.problem(for: error)
      metadata["code"] = "\(problem.code.rawValue)"
      if let cause = problem.cause { metadata["cause"] = "\(cause)" }
      response = try problem.response(from: request, context: context)
      if request.method == .head { response = response.headOnly }
    }
    response.headers[.xRequestID] = id
    metadata["status"] = "\(response.status.code)"
    let time = ContinuousClock.now - start
    metadata["seconds"] = "\(time.seconds)"
    // A client may make up methods as well as paths; labels are bounded.
    let method = route == "none" ? "other" : request.method.rawValue
    metrics.add(.requests, [method, route, "\(response.status.code / 100)xx"])
    metrics.observe(.requestSeconds, [route], time)
    context.logger.log(level: response.status.code < 500 ? .debug : .error, "request answered", metadata: metadata)
    return response
  }

  private static func problem(for error: any Error) -> Problem {
    switch error {
    case let problem as Problem: problem
    case let error as HTTPError:
      Problem(error.status, error.status.kind == .serverError ? .internal : .malformedRequest, error.body ?? "")
    case is NIOTooManyBytesError:
      Problem(.contentTooLarge, .tooLarge, "the body is too large")
    default:
      DatabaseFault(error).map { .database($0, cause: "\(error)") }
        ?? Problem(
          .internalServerError, .internal, "the service failed; the log has the reason under the request id",
          cause: String(reflecting: error))
    }
  }
}

extension Duration {
  /// Seconds, for logs.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}
