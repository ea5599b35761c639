import Hummingbird

/// The resources of the service.
struct Controllers: Sendable {
  let jobs: JobController
  let uploads: UploadController
  let tus: TusController
  let models: ModelController
  let plans: PlanController
  let health: HealthController
  let me: MeController
  let page: PageController
  let reference = ReferenceController()
}

extension RouteTable {
  /// The table with HEAD for every GET that has an end: the same head and no body.
  static let all: [Route] = rows.flatMap { row in
    let hasOwnHead = rows.contains { $0.method == .head && $0.path == row.path }
    guard row.method == .get, row.operation.hasHead, !hasOwnHead else { return [row] }
    let head = Route(.head, row.path, row.access, row.operation) { controllers in
      let handler = row.handler(controllers)
      return { request, context in try await handler(request, context).headOnly }
    }
    return [row, head]
  }

  /// The only table: method and path, who may call it, what it does, and the handler.
  private static let rows: [Route] = [
    Route(.get, "/v1/models", .read, .listModels) { $0.models.list },
    Route(.get, "/v1/models/{model}", .read, .getModel) { $0.models.get },

    Route(.options, "/v1/uploads", .open, .describeUploads) { $0.tus.options },
    Route(.post, "/v1/uploads", .submit, .createUpload) { $0.tus.create },
    Route(.get, "/v1/uploads", .submitOrRead, .listUploads) { $0.uploads.list },
    Route(.head, "/v1/uploads/{upload}", .submitOrRead, .uploadOffset) { $0.tus.head },
    Route(.patch, "/v1/uploads/{upload}", .submit, .appendUpload) { $0.tus.append },
    // The segment is a file name for PUT and an id for the others.
    Route(.put, "/v1/uploads/{upload}", .submit, .putUpload) { $0.uploads.put },
    Route(.get, "/v1/uploads/{upload}", .submitOrRead, .getUpload) { $0.uploads.get },
    Route(.delete, "/v1/uploads/{upload}", .submit, .deleteUpload) { $0.uploads.delete },

    Route(.post, "/v1/jobs", .submit, .submitJob) { $0.jobs.submit },
    Route(.post, "/v1/plans", .submit, .makePlan) { $0.plans.make },
    Route(.get, "/v1/jobs", .read, .listJobs) { $0.jobs.list },
    Route(.get, "/v1/jobs/{job}", .read, .getJob) { $0.jobs.get },
    Route(.delete, "/v1/jobs/{job}", .submit, .deleteJob) { $0.jobs.delete },
    Route(.post, "/v1/jobs/{job}/cancel", .submit, .cancelJob) { $0.jobs.cancel },
    Route(.post, "/v1/jobs/{job}/again", .submit, .repeatJob) { $0.jobs.again },
    Route(.get, "/v1/jobs/{job}/events", .read, .followJob) { $0.jobs.events },
    Route(.put, "/v1/jobs/{job}/pin", .submit, .pinJob) { $0.jobs.pin },
    Route(.delete, "/v1/jobs/{job}/pin", .submit, .unpinJob) { $0.jobs.pin },
    Route(.get, "/v1/jobs/{job}/outputs", .read, .downloadOutputs) { $0.jobs.downloadAll },
    Route(.get, "/v1/jobs/{job}/outputs/{output}", .read, .downloadOutput) { $0.jobs.download },
    Route(.get, "/v1/jobs/{job}/outputs/{component}/{output}", .read, .downloadComponent) { $0.jobs.download },
    Route(.post, "/v1/jobs/{job}/outputs/links", .read, .linkOutputs) { $0.jobs.linkAll },
    Route(.post, "/v1/jobs/{job}/outputs/{output}/links", .read, .linkOutput) { $0.jobs.link },
    Route(.post, "/v1/jobs/{job}/outputs/{component}/{output}/links", .read, .linkComponent) { $0.jobs.link },

    Route(.get, "/v1/me", .anyToken, .getMe) { $0.me.get },

    Route(.get, "/healthz", .open, .getHealth) { $0.health.health },
    Route(.get, "/readyz", .open, .getReadiness) { $0.health.ready },
    Route(.get, "/metrics", .metrics, .getMetrics) { $0.health.exposition },
    Route(.get, "/openapi.json", .open, .getOpenAPI) { $0.reference.document },

    Route(.get, "/", .open, .getPage) { $0.page.index },
    Route(.get, "/ui/{version}/{asset}", .open, .getPageFile) { $0.page.asset },
  ]
}
