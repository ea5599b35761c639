import API
import Core
import HTTPTypes

/// What a route does, for the OpenAPI document and the reference page. Every row of the route table carries one.
struct Operation: Sendable {
  /// In camel case; generated clients name their functions after it.
  let id: String
  /// The heading under which the reference has it.
  let group: Group
  /// One sentence.
  let summary: String
  /// Whatever more there is to say.
  var details = ""
  /// Query parameters and headers, and those parts of the path that are something else than usual.
  var parameters: [Parameter] = []
  /// What may be sent.
  var body: [Content] = []
  /// False where nothing at all is a body, too: an empty file is a file.
  var needsBody = true
  /// False for a GET without HEAD: a stream has no end and so no length to tell.
  var hasHead = true
  /// What is answered when all goes well.
  let answers: [Answer]
  /// What else may be answered, beside what every route may.
  var refusals: [Refusal] = []

  enum Group: String, Sendable, CaseIterable {
    case models = "Models"
    case uploads = "Uploads"
    case jobs = "Jobs"
    case operations = "Operations"
    case page = "Page"
  }

  struct Parameter: Sendable {
    enum Place: String, Sendable {
      case path
      case query
      case header
    }

    let name: String
    let place: Place
    let schema: JSONSchema
    let summary: String
  }

  /// A body of one media type.
  struct Content: Sendable {
    let mediaType: String
    let schema: JSONSchema
    /// A body that is answered with success by a service without any uploads.
    var example: JSONTree?

    static func json(_ name: SchemaName, example: JSONTree? = nil) -> Content {
      Content(mediaType: "application/json", schema: .named(name), example: example)
    }
  }

  struct Answer: Sendable {
    let status: Int
    let summary: String
    var content: [Content] = []
    /// Header fields of its own, which `HeaderDescription` describes.
    var headers: [String] = []
  }

  /// Problems with one status.
  struct Refusal: Sendable {
    let status: Int
    let codes: [FaultCode]

    init(_ status: HTTPResponse.Status, _ codes: FaultCode...) {
      self.status = status.code
      self.codes = codes
    }
  }
}

extension Operation {
  /// The usual meaning of a part of a path. Nil for a name that no route has.
  static func pathParameter(_ name: String) -> Parameter? {
    switch name {
    case "job": Parameter(name: name, place: .path, schema: SchemaName.id, summary: "The id of a job.")
    case "upload": Parameter(name: name, place: .path, schema: SchemaName.id, summary: "The id of an upload.")
    case "output": Parameter(name: name, place: .path, schema: .string(), summary: "The name of an output.")
    case "component":
      Parameter(name: name, place: .path, schema: .string(), summary: "The component that the output is of.")
    case "model": Parameter(name: name, place: .path, schema: .string(), summary: "A name or an alias.")
    case "version": Parameter(name: name, place: .path, schema: .string(), summary: "Names the content of all files.")
    case "asset": Parameter(name: name, place: .path, schema: .string(), summary: "The name of the file.")
    default: nil
    }
  }
}

extension RouteTable.Route {
  /// All parameters, those of the path first.
  var parameters: [Operation.Parameter] {
    let names = path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    let own = operation.parameters
    return names.compactMap { name in
      own.first { $0.place == .path && $0.name == name } ?? Operation.pathParameter(name)
    } + own.filter { $0.place != .path }
  }

  /// All problems: those of the operation, and those of every route of its kind. One entry for each status, by status.
  var refusals: [Operation.Refusal] {
    var codes: [Int: [FaultCode]] = [:]
    var all = operation.refusals + [.init(.badRequest, .malformedRequest), .init(.internalServerError, .internal)]
    if access != .open {
      all += [
        .init(.unauthorized, .unauthorized), .init(.forbidden, .forbidden), .init(.serviceUnavailable, .unavailable),
      ]
      if method != .get, method != .head { all.append(.init(.insufficientStorage, .diskFull)) }
    }
    if TusHeaders.concern(path), method != .options { all.append(.init(.preconditionFailed, .unsupportedProtocol)) }
    if path.contains("{job}") || path.contains("{upload}") && method != .put { all.append(.init(.notFound, .notFound)) }
    for refusal in all {
      codes[refusal.status, default: []] += refusal.codes.filter { codes[refusal.status]?.contains($0) != true }
    }
    return codes.sorted { $0.key < $1.key }.map { Operation.Refusal(status: $0.key, codes: $0.value) }
  }

  /// Every status that the route may answer with.
  var statuses: Set<Int> { Set(operation.answers.map(\.status) + refusals.map(\.status)) }
}

extension Operation.Refusal {
  fileprivate init(status: Int, codes: [FaultCode]) {
    self.status = status
    self.codes = codes
  }
}
