import Hummingbird

/// The resources of the service.
struct Controllers: Sendable {
  let jobs: JobController
  let uploads: UploadController
  let models: ModelController
  let health: HealthController
}

extension RouteTable {
  /// The only table of method and path to handler.
  init(_ controllers: Controllers) {
    let (jobs, uploads, models) = (controllers.jobs, controllers.uploads, controllers.models)
    routes = [
      Route(.get, "/v1/models", models.list),
      Route(.get, "/v1/models/{model}", models.get),

      // The segment is a file name for PUT and an id for the others.
      Route(.put, "/v1/uploads/{upload}", uploads.put),
      Route(.get, "/v1/uploads/{upload}", uploads.get),
      Route(.head, "/v1/uploads/{upload}", uploads.get),
      Route(.delete, "/v1/uploads/{upload}", uploads.delete),

      Route(.post, "/v1/jobs", jobs.submit),
      Route(.get, "/v1/jobs", jobs.list),
      Route(.get, "/v1/jobs/{job}", jobs.get),
      Route(.head, "/v1/jobs/{job}", jobs.get),
      Route(.delete, "/v1/jobs/{job}", jobs.delete),
      Route(.get, "/v1/jobs/{job}/events", jobs.events),
      Route(.put, "/v1/jobs/{job}/pin", jobs.pin),
      Route(.delete, "/v1/jobs/{job}/pin", jobs.pin),
      Route(.get, "/v1/jobs/{job}/outputs", jobs.downloadAll),
      Route(.head, "/v1/jobs/{job}/outputs", jobs.downloadAll),
      Route(.get, "/v1/jobs/{job}/outputs/{output}", jobs.download),
      Route(.head, "/v1/jobs/{job}/outputs/{output}", jobs.download),

      Route(.get, "/healthz", controllers.health.health),
      Route(.head, "/healthz", controllers.health.health),
      Route(.get, "/readyz", controllers.health.ready),
      Route(.get, "/metrics", controllers.health.exposition),
    ]
  }
}
