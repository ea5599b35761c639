/// What the routes for operators do.
extension Operation {
  static let getHealth = Operation(
    id: "getHealth", group: .operations, summary: "Whether the process lives.",
    answers: [Answer(status: 200, summary: "It does.", content: [.json(.health)])])

  static let getReadiness = Operation(
    id: "getReadiness", group: .operations, summary: "Whether jobs can be taken and run.",
    answers: [
      Answer(status: 200, summary: "They can.", content: [.json(.readiness)]),
      Answer(status: 503, summary: "They cannot; the checks say why.", content: [.json(.readiness)]),
    ])

  static let getMetrics = Operation(
    id: "getMetrics", group: .operations, summary: "Counters and gauges for Prometheus.",
    answers: [
      Answer(
        status: 200, summary: "The text format, version 0.0.4.",
        content: [Content(mediaType: "text/plain", schema: .text)])
    ])

  static let getOpenAPI = Operation(
    id: "getOpenAPI", group: .operations, summary: "This very description, as OpenAPI 3.1.",
    answers: [
      Answer(
        status: 200, summary: "The document.",
        content: [Content(mediaType: "application/json", schema: .anyObject)])
    ])
}
