import API
import Core
import HTTPTypes
import Inputs
import Jobs

/// What the routes of jobs do.
extension Operation {
  /// A config of a small GPT-2, which needs no upload.
  static let submissionExample: JSONTree = [
    "command": "convert-config", "model": "gpt2", "src_fmt": "hf", "tgt_fmt": "cs-1.8",
    "config": [
      "inline": [
        "model_type": "gpt2", "vocab_size": 97, "n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 24,
        "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0,
      ]
    ],
  ]

  /// What submits a job, and asks what a job would do.
  static let submissionBody = [
    Content.json(.jobSubmission, example: submissionExample),
    Content(mediaType: "multipart/form-data", schema: .named(.jobForm)),
  ]

  private static let idempotencyKey = Parameter(
    name: "Idempotency-Key", place: .header, schema: .string(pattern: "^[!-~]+$", longest: IdempotencyKey.limit),
    summary: "Makes the submission safe to send again.")

  static let submitJob = Operation(
    id: "submitJob", group: .jobs, summary: "Submit a conversion.",
    details:
      "An answer with 202 is on the disk: the job is never lost. 200 is a job that was submitted before under the same "
      + "key, or one that has the outputs of an equal job.",
    parameters: [idempotencyKey],
    body: submissionBody,
    answers: [
      Answer(
        status: 200, summary: "The job, which was there.", content: [.json(.job)], headers: ["Location"]),
      Answer(status: 202, summary: "The job, which waits.", content: [.json(.job)], headers: ["Location"]),
    ],
    refusals: [
      Refusal(.contentTooLarge, .tooLarge), Refusal(.unsupportedMediaType, .unsupportedMediaType),
      Refusal(
        .unprocessableContent, .invalidRequest, .unknownModel, .unsupportedPair),
      Refusal(.tooManyRequests, .limitReached),
      Refusal(.insufficientStorage, .diskFull, .limitReached),
    ])

  static let listJobs = Operation(
    id: "listJobs", group: .jobs, summary: "List jobs, newest first.",
    parameters: [
      Parameter(
        name: "status", place: .query, schema: .choice(JobStatus.allCases.map(\.rawValue)), summary: "Only such jobs."),
      Parameter(name: "model", place: .query, schema: .string(), summary: "Only jobs submitted for this name."),
      Parameter(name: "owner", place: .query, schema: .string(), summary: "Only jobs of the token with this name."),
      Parameter(name: "src_fmt", place: .query, schema: .string(), summary: "Only jobs from this format."),
      Parameter(name: "tgt_fmt", place: .query, schema: .string(), summary: "Only jobs to this format."),
      Parameter(
        name: "q", place: .query, schema: .string(), summary: "Only jobs whose id or model begins with this text."),
      Parameter(
        name: "since", place: .query, schema: .string(format: "date-time"),
        summary: "Only jobs submitted then or later."),
      Parameter(name: "counts", place: .query, schema: .boolean, summary: "Whether to count jobs by status as well."),
      Parameter(name: "limit", place: .query, schema: .integer(1...200), summary: "Jobs a page; 50 unless given."),
      Parameter(
        name: "cursor", place: .query, schema: SchemaName.id, summary: "The `next_cursor` of the page before."),
      ifNoneMatch,
    ],
    answers: [
      Answer(status: 200, summary: "A page.", content: [.json(.jobList)], headers: ["ETag"]),
      Answer(status: 304, summary: "The page has not changed.", headers: ["ETag", "Cache-Control"]),
    ],
    refusals: [Refusal(.unprocessableContent, .invalidRequest)])

  static let repeatJob = Operation(
    id: "repeatJob", group: .jobs, summary: "Submit a job again.",
    details:
      "The new job has the same inputs, options, hub token and webhook, and belongs to the caller. Repositories stay at the "
      + "commit that the old job was pinned to. It runs even though an equal job has outputs.",
    parameters: [idempotencyKey],
    answers: [
      Answer(
        status: 200, summary: "The job that the key was used for before.", content: [.json(.job)], headers: ["Location"]
      ),
      Answer(status: 202, summary: "The new job, which waits.", content: [.json(.job)], headers: ["Location"]),
    ],
    refusals: [
      Refusal(.conflict, .conflict), Refusal(.unprocessableContent, .invalidRequest),
      Refusal(.tooManyRequests, .limitReached), Refusal(.insufficientStorage, .diskFull, .limitReached),
    ])

  static let linkOutput = link(id: "linkOutput", summary: "Make a link that downloads an output without a token.")
  static let linkComponent = link(
    id: "linkComponent", summary: "Make a link that downloads an output of a component without a token.")
  static let linkOutputs = link(
    id: "linkOutputs", summary: "Make a link that downloads all outputs as one archive without a token.")

  private static func link(id: String, summary: String) -> Operation {
    Operation(
      id: id, group: .jobs, summary: summary,
      details:
        "For browsers, which cannot send a token with a download. A link works for an hour, and no longer than the token that "
        + "asked for it.",
      answers: [Answer(status: 201, summary: "The link.", content: [.json(.downloadLink)])])
  }

  private static let ifNoneMatch = Parameter(
    name: "If-None-Match", place: .header, schema: .string(), summary: "An `ETag` that the client has.")

  static let getJob = Operation(
    id: "getJob", group: .jobs, summary: "A job, at once or when there is news.",
    parameters: [
      ifNoneMatch,
      Parameter(
        name: "Prefer", place: .header, schema: .string(),
        summary: "`wait=SECONDS`, 60 at most: answer when the job has ended or, with `If-None-Match`, has changed."),
    ],
    answers: [
      Answer(
        status: 200, summary: "The job.", content: [.json(.job)],
        headers: ["ETag", "Preference-Applied"]),
      Answer(
        status: 304, summary: "Nothing changed.", headers: ["ETag", "Preference-Applied", "Cache-Control"]),
    ])

  static let followJob = Operation(
    id: "followJob", group: .jobs, summary: "The job after each change, as Server-Sent Events, until it ends.",
    parameters: [
      Parameter(name: "Last-Event-ID", place: .header, schema: .string(), summary: "The last event that was seen.")
    ],
    hasHead: false,
    answers: [
      Answer(
        status: 200, summary: "The events, each of this form.",
        content: [Content(mediaType: "text/event-stream", schema: .named(.jobEvent))],
        headers: ["X-Accel-Buffering"]),
      Answer(status: 204, summary: "The client has seen the end."),
    ])

  static let cancelJob = Operation(
    id: "cancelJob", group: .jobs, summary: "Cancel a queued or running job; never deletes one.",
    answers: [Answer(status: 200, summary: "The cancelled job.", content: [.json(.job)])],
    refusals: [Refusal(.conflict, .conflict)])

  static let deleteJob = Operation(
    id: "deleteJob", group: .jobs, summary: "Cancel a queued or running job; delete an ended one with its files.",
    answers: [
      Answer(status: 200, summary: "The cancelled job.", content: [.json(.job)]),
      Answer(status: 204, summary: "It is gone."),
    ])

  static let pinJob = Operation(
    id: "pinJob", group: .jobs, summary: "Keep a job from expiring.",
    answers: [Answer(status: 200, summary: "The job.", content: [.json(.job)])])

  static let unpinJob = Operation(
    id: "unpinJob", group: .jobs, summary: "Let a job expire again.",
    answers: [Answer(status: 200, summary: "The job.", content: [.json(.job)])])

  static let downloadOutputs = Operation(
    id: "downloadOutputs", group: .jobs, summary: "All outputs as one uncompressed tar archive.",
    answers: [
      Answer(
        status: 200, summary: "The archive, made while it is sent.",
        content: [Content(mediaType: "application/x-tar", schema: .bytes)],
        headers: ["Content-Disposition", "X-Content-Type-Options"])
    ])

  static let downloadOutput = download(
    id: "downloadOutput", summary: "Download an output, whole or in part.")
  static let downloadComponent = download(
    id: "downloadComponent", summary: "Download an output of a component, such as `image_model/config.json`.")

  private static func download(id: String, summary: String) -> Operation {
    Operation(
      id: id, group: .jobs, summary: summary,
      parameters: [
        ifNoneMatch,
        Parameter(
          name: "If-Match", place: .header, schema: .string(), summary: "Answer for this `ETag` only, else 412."),
        Parameter(name: "Range", place: .header, schema: .string(), summary: "One range of bytes."),
        Parameter(
          name: "If-Range", place: .header, schema: .string(), summary: "The `ETag` for which the range is meant."),
      ],
      answers: [
        Answer(
          status: 200, summary: "The file.", content: file,
          headers: ofFile),
        Answer(status: 206, summary: "The range.", content: file, headers: ofFile + ["Content-Range"]),
        Answer(status: 304, summary: "The client has it.", headers: ofFile + ["Cache-Control"]),
      ],
      refusals: [
        Refusal(.preconditionFailed, .preconditionFailed), Refusal(.rangeNotSatisfiable, .rangeNotSatisfiable),
      ])
  }

  private static let ofFile = [
    "ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition", "X-Content-Type-Options",
  ]

  private static let file = [
    Content(mediaType: "application/octet-stream", schema: .bytes),
    Content(mediaType: "application/json", schema: .anything),
    Content(mediaType: "application/yaml", schema: .anything),
  ]
}
