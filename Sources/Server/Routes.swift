import Hummingbird

/// The resources of the service.
struct Controllers: Sendable {
  let jobs: JobController
  let uploads: UploadController
  let models: ModelController
  let health: HealthController
}

extension RouteTable {
  /// The only table of method and path to handler, and of who may call it.
  init(_ controllers: Controllers) {
    let (jobs, uploads, models) = (controllers.jobs, controllers.uploads, controllers.models)
    routes = [
      Route(.get, "/v1/models", .read, models.list),
      Route(.get, "/v1/models/{model}", .read, models.get),

      // The segment is a file name for PUT and an id for the others.
      Route(.put, "/v1/uploads/{upload}", .submit, uploads.put),
      Route(.get, "/v1/uploads/{upload}", .submitOrRead, uploads.get),
      Route(.head, "/v1/uploads/{upload}", .submitOrRead, uploads.get),
      Route(.delete, "/v1/uploads/{upload}", .submit, uploads.delete),

      Route(.post, "/v1/jobs", .submit, jobs.submit),
      Route(.get, "/v1/jobs", .read, jobs.list),
      Route(.get, "/v1/jobs/{job}", .read, jobs.get),
      Route(.head, "/v1/jobs/{job}", .read, jobs.get),
      Route(.delete, "/v1/jobs/{job}", .submit, jobs.delete),
      Route(.get, "/v1/jobs/{job}/events", .read, jobs.events),
      Route(.put, "/v1/jobs/{job}/pin", .submit, jobs.pin),
      Route(.delete, "/v1/jobs/{job}/pin", .submit, jobs.pin),
      Route(.get, "/v1/jobs/{job}/outputs", .read, jobs.downloadAll),
      Route(.head, "/v1/jobs/{job}/outputs", .read, jobs.downloadAll),
      Route(.get, "/v1/jobs/{job}/outputs/{output}", .read, jobs.download),
      Route(.head, "/v1/jobs/{job}/outputs/{output}", .read, jobs.download),

      Route(.get, "/healthz", .open, controllers.health.health),
      Route(.head, "/healthz", .open, controllers.health.health),
      Route(.get, "/readyz", .open, controllers.health.ready),
      Route(.get, "/metrics", .metrics, controllers.health.exposition),
    ]
  }
}
