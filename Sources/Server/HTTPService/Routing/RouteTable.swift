import API
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// Dispatches by method and path over a flat table.
///
/// Segments are percent-decoded once, here, after the path was split: an encoded slash never splits, and a handler
/// never sees an encoded parameter. A known path with another method answers 405 with `Allow`.
/// Complexity: O(routes) for each request; the table has a few dozen rows.
struct RouteTable: Sendable {
  typealias Handler = @Sendable (Request, ServiceContext) async throws -> Response

  /// One row.
  struct Route: Sendable {
    let method: HTTPRequest.Method
    /// Segments; `{name}` captures one into `context.parameters`.
    let path: String
    /// Who may call it.
    let access: RouteAccess
    /// What it does, for the reference.
    let operation: Operation
    let handler: @Sendable (Controllers) -> Handler
    private let pattern: [Substring]

    init(
      _ method: HTTPRequest.Method, _ path: String, _ access: RouteAccess, _ operation: Operation,
      _ handler: @escaping @Sendable (Controllers) -> Handler
    ) {
      self.method = method
      self.path = path
      self.access = access
      self.operation = operation
      self.handler = handler
      pattern = path.split(separator: "/")
    }

    /// The captures when the path fits, nil otherwise.
    func match(_ segments: [String]) -> [(name: Substring, value: String)]? {
      guard pattern.count == segments.count else { return nil }
      var captures: [(Substring, String)] = []
      for (part, segment) in zip(pattern, segments) {
        if part.hasPrefix("{") {
          captures.append((part.dropFirst().dropLast(), segment))
        } else if part != segment {
          return nil
        }
      }
      return captures
    }
  }

  let routes = RouteTable.all
  let controllers: Controllers

  init(_ controllers: Controllers) { self.controllers = controllers }

  /// A row and what it captured.
  struct Match: Sendable {
    let route: Route
    fileprivate let controllers: Controllers
    let captures: [(name: Substring, value: String)]

    /// Runs the handler.
    func respond(to request: Request, context: ServiceContext) async throws -> Response {
      var context = context
      context.coreContext.endpointPath.value = route.path
      for capture in captures { context.coreContext.parameters[capture.name] = capture.value[...] }
      return try await route.handler(controllers)(request, context)
    }
  }

  /// The parts of a path, decoded; empty ones do not count. Nil when it is not percent-encoded UTF-8.
  static func segments(of path: String) -> [String]? {
    var segments: [String] = []
    for raw in path.split(separator: "/") {
      guard let segment = PercentEncoding.decode(raw) else { return nil }
      segments.append(segment)
    }
    return segments
  }

  /// The row for a request. Throws `Fault` 400 or 404, or `Problem` 405.
  func match(_ request: Request) throws -> Match {
    guard let segments = Self.segments(of: request.uri.path) else {
      throw Fault.malformed("the path is not percent-encoded UTF-8")
    }
    var others: [(method: HTTPRequest.Method, captures: Int)] = []
    for route in routes {
      guard let captures = route.match(segments) else { continue }
      guard route.method == request.method else {
        others.append((route.method, captures.count))
        continue
      }
      return Match(route: route, controllers: controllers, captures: captures)
    }
    // Where a path is both a row of its own and fits a row with captures, as `links` might be an output, the former counts.
    guard let fewest = others.map(\.captures).min() else {
      throw Fault.notFound("nothing is at \(request.uri.path)")
    }
    let methods = others.filter { $0.captures == fewest }.map(\.method.rawValue).joined(separator: ", ")
    throw Problem(
      .methodNotAllowed, "\(request.uri.path) answers \(methods), not \(request.method)",
      headers: [.allow: methods])
  }
}
