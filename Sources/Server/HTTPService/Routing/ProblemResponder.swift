import API
import HTTPTypes
import Hummingbird
import Jobs
import Logging
import NIOCore

/// Finds the handler and who calls it, turns every thrown error into problem+json, puts the request id on every answer,
/// counts it and writes one log line for it.
///
/// An error that is neither a `Fault` nor a `Problem` becomes a 500 whose detail says nothing; the log has the cause.
struct ProblemResponder: HTTPResponder {
  typealias Context = ServiceContext

  let routes: RouteTable
  let access: AccessControl
  let metrics: Metrics
  /// Of the service's own lines; the library that calls this one is kept quieter.
  let logLevel: Logger.Level

  func respond(to request: Request, context: ServiceContext) async throws -> Response {
    let start = ContinuousClock.now
    let isTus = TusHeaders.concern(request.uri.path)
    let sent = request.method
    let request = isTus ? TusHeaders.meant(by: request) : request
    let id = RequestID.read(request.headers)
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
      context.principal = try await access.principal(for: request, at: match.route.access)
      if let token = context.principal.token {
        metadata["token"] = "\(token.name)"
        context.logger[metadataKey: "token"] = "\(token.name)"
      }
      if isTus { try TusHeaders.checkVersion(of: request) }
      context.reportFault = { [metrics, logger = context.logger, route, metadata] error in
        metrics.add(.brokenAnswers, [route])
        logger.error(
          "answer broke off", metadata: metadata.merging(["cause": "\(String(reflecting: error))"]) { $1 })
      }
      response = try await match.respond(to: request, context: context)
    } catch {
      let problem = Self.problem(for: error)
      metadata["code"] = "\(problem.fault.code.rawValue)"
      if let cause = problem.fault.cause { metadata["cause"] = "\(cause)" }
      response = try problem.response(from: request, context: context)
    }
    if request.method == .head || sent == .head { response = response.headOnly }
    // After another method than HEAD itself a body would be expected.
    if request.method == .head, sent != .head { response.headers[.contentLength] = "0" }
    if isTus { response.headers[.tusResumable] = TusProtocol.version }
    response.headers[.xRequestID] = id
    metadata["status"] = "\(response.status.code)"
    let time = ContinuousClock.now - start
    metadata["seconds"] = "\(time.seconds)"
    // A client may make up methods as well as paths; labels are bounded.
    let method = route == "none" ? "other" : request.method.rawValue
    metrics.add(.requests, [method, route, "\(response.status.code)"])
    metrics.observe(.requestSeconds, [route], time)
    let level: Logger.Level =
      switch response.status.code {
      // Nothing is broken: the disk is full, a limit is reached, the service is busy or stops.
      case 503, 507: .warning
      case 500...: .error
      // Somebody knocks: worth a line, though every client may cause it.
      case 401, 403: .notice
      default: .debug
      }
    context.logger.log(level: level, "request answered", metadata: metadata)
    return response
  }

  private static func problem(for error: any Error) -> Problem {
    switch error {
    case let problem as Problem: problem
    case let fault as Fault: Problem(fault)
    case let error as HTTPError:
      Problem(
        Fault(error.status.kind == .serverError ? .internal : .malformedRequest, error.body ?? ""), status: error.status
      )
    case is NIOTooManyBytesError:
      Problem(Fault(.tooLarge, "the body is too large"))
    case is CancellationError:
      Problem(Fault(.unavailable, "the service stops; try again", retryAfter: .seconds(5)))
    default:
      Problem(
        Fault(
          .internal, "the service failed; the log has the reason under the request id",
          cause: String(reflecting: error)))
    }
  }
}
