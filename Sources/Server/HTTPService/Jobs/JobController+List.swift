import API
import Hummingbird
import Jobs

/// Lists of jobs.
extension JobController {
  private static let pageLimit = 200

  /// What the query of a list asks for.
  private struct Query {
    var filter: JobFilter
    var cursor: Identifier?
    var limit = 50
    var counts = false
    var findings = Findings()

    /// Takes one parameter over, or notes what is wrong with it.
    mutating func read(_ name: String, _ value: String) {
      switch name {
      case "status":
        let all = JobStatus.allCases.map(\.rawValue).joined(separator: ", ")
        filter.status = need(JobStatus(rawValue: value), name, "one of \(all)")
      case "model": filter.model = value
      case "owner": filter.owner = value
      case "src_fmt": filter.sourceFormat = value
      case "tgt_fmt": filter.targetFormat = value
      case "q": filter.text = value
      case "since": filter.since = need(Timestamp(text: value), name, "a time such as 2025-03-01T12:00:00.000Z")
      case "limit":
        limit =
          need(Int(value).flatMap { (1...pageLimit).contains($0) ? $0 : nil }, name, "a number from 1 to \(pageLimit)")
          ?? limit
      case "cursor": cursor = need(Identifier(value), name, "a next_cursor of a former page")
      case "counts": counts = need(Bool(value), name, "true or false") ?? false
      default: findings.append(.init(field: name, "there is no query parameter \(name)"))
      }
    }

    private mutating func need<Value>(_ value: Value?, _ name: String, _ form: String) -> Value? {
      if value == nil { findings.append(.init(field: name, "\(name) must be \(form)")) }
      return value
    }
  }

  /// `GET /v1/jobs`, newest first, with `ETag`.
  @Sendable func list(_ request: Request, context: ServiceContext) async throws -> Response {
    var query = Query(filter: JobFilter(reach: context.principal.reach))
    for (name, value) in request.uri.queryParameters { query.read(String(name), String(value)) }
    guard query.findings.isEmpty else { throw Fault.invalid(query.findings) }
    // One more than asked for tells whether there is a next page.
    let jobs = try await store.jobs(matching: query.filter, after: query.cursor, limit: query.limit + 1)
    let page = jobs.prefix(query.limit)
    var documents: [JobDocument] = []
    for job in page { documents.append(try await document(job)) }
    let list = JobListDocument(
      jobs: documents, nextCursor: jobs.count > query.limit ? page.last?.id : nil,
      counts: query.counts ? try await store.counts(matching: query.filter) : nil)
    let json = try JSONBody.encode(list)
    return JSONBody.response(json, tagged: EntityTag(content: json), to: request)
  }
}
