import API
import Core
import HTTPTypes

/// What the routes of uploads do.
extension Operation {
  static let putUpload = Operation(
    id: "putUpload", group: .uploads, summary: "Send a file whole, as `curl -T` does.",
    details: "The names of the outputs derive from the file name.",
    parameters: [
      Parameter(
        name: "upload", place: .path, schema: SchemaName.fileName, summary: "The file name: one component of a path.")
    ],
    body: [Content(mediaType: "application/octet-stream", schema: .bytes)], needsBody: false,
    answers: [
      Answer(
        status: 201, summary: "The file is stored.", content: [.json(.upload)], headers: ["Location"])
    ],
    refusals: [
      Refusal(.contentTooLarge, .tooLarge), Refusal(.unsupportedMediaType, .unsupportedMediaType),
      Refusal(.unprocessableContent, .invalidRequest),
      Refusal(.insufficientStorage, .diskFull, .limitReached),
    ])

  static let getUpload = Operation(
    id: "getUpload", group: .uploads, summary: "What is known of a file.",
    answers: [Answer(status: 200, summary: "The upload, finished or not.", content: [.json(.upload)])],
    refusals: [Refusal(.gone, .gone)])

  static let listUploads = Operation(
    id: "listUploads", group: .uploads, summary: "List uploads, finished or not, newest first.",
    details: "An upload that was begun elsewhere can go on here.",
    parameters: [
      Parameter(name: "limit", place: .query, schema: .integer(1...200), summary: "Uploads a page; 50 unless given."),
      Parameter(
        name: "cursor", place: .query, schema: SchemaName.id, summary: "The `next_cursor` of the page before."),
    ],
    answers: [Answer(status: 200, summary: "A page.", content: [.json(.uploadList)])],
    refusals: [Refusal(.unprocessableContent, .invalidRequest)])

  static let deleteUpload = Operation(
    id: "deleteUpload", group: .uploads, summary: "Remove a file that no queued or running job needs.",
    answers: [Answer(status: 204, summary: "It is gone.")],
    refusals: [Refusal(.conflict, .conflict)])
}
