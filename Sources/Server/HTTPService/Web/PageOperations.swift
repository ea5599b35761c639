import API
import HTTPTypes

/// What the routes of the page do.
extension Operation {
  static let getPage = page(
    id: "getPage", summary: "The page of the service, for a browser.",
    details: "It is asked for again each time. Where `ui` is `off`, nothing is here.", mediaTypes: ["text/html"])

  static let getPageFile = page(
    id: "getPageFile", summary: "A file of the page.", details: "It never changes and may be kept for ever.",
    mediaTypes: ["text/javascript", "text/css", "image/svg+xml"])

  private static func page(id: String, summary: String, details: String, mediaTypes: [String]) -> Operation {
    let headers = [
      "ETag", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy",
    ]
    return Operation(
      id: id, group: .page, summary: summary, details: details,
      parameters: [
        Parameter(
          name: "If-None-Match", place: .header, schema: .string(), summary: "An `ETag` that the client has.")
      ],
      answers: [
        Answer(
          status: 200, summary: "The file.", content: mediaTypes.map { Content(mediaType: $0, schema: .text) },
          headers: headers),
        Answer(status: 304, summary: "The client has it.", headers: headers + ["Cache-Control"]),
      ],
      refusals: [Refusal(.notFound, .notFound)])
  }
}
