import API
import Core
import Inputs
import Jobs

/// A job as clients see it.
struct JobDocument: Encodable, Sendable {
  /// An output to download.
  struct Output: Encodable, Sendable {
    let name: FileName
    let size: Int
    let sha256: String
    let url: String
  }

  /// An input as it was asked for. An inline config is not repeated, the query of a URL, which may hold a signature, is
  /// left out, and so is a token.
  struct Input: Encodable, Sendable {
    let filename: FileName
    let upload: Identifier?
    let url: String?
    let inline: Bool?
    var hub: String?
    var revision: String?
    var commit: String?
    var subfolder: String?
    var variant: String?
    var files: [String]?
    var carry: Bool?
  }

  /// All inputs.
  struct Inputs: Encodable, Sendable {
    let config: [Input]
    let checkpoint: [Input]

    private enum CodingKeys: String, CodingKey { case config, checkpoint }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      if config.count == 1 {
        try container.encode(config[0], forKey: .config)
      } else {
        try container.encode(config, forKey: .config)
      }
      try container.encode(checkpoint, forKey: .checkpoint)
    }
  }

  let job: Job
  /// Of the running attempt, from memory; nil when the job does not run.
  let live: JobProgress?
  /// 1 is next; nil unless the job waits for a worker and is due.
  var queuePosition: Int?

  private enum CodingKeys: String, CodingKey {
    case id, status, command, model, srcFmt, tgtFmt, createdAt, startedAt, finishedAt, attempt, progress, warnings
    case error, outputs, inputs, options, url, reused, notBefore, pinned, owner, team, webhook, queuePosition
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(job.id, forKey: .id)
    try container.encode("/v1/jobs/\(job.id)", forKey: .url)
    try container.encode(job.status, forKey: .status)
    try container.encode(job.command.rawValue, forKey: .command)
    try container.encode(job.model, forKey: .model)
    try container.encode(job.sourceFormat, forKey: .srcFmt)
    try container.encode(job.targetFormat, forKey: .tgtFmt)
    try container.encode(job.createdAt, forKey: .createdAt)
    // Absent values are null, so that every job has every field.
    try container.encode(job.startedAt, forKey: .startedAt)
    try container.encode(job.finishedAt, forKey: .finishedAt)
    try container.encode(job.notBefore, forKey: .notBefore)
    try container.encode(queuePosition, forKey: .queuePosition)
    try container.encode(job.attempt, forKey: .attempt)
    try container.encode(ProgressDocument(live ?? job.progress ?? JobProgress()), forKey: .progress)
    try container.encode(job.warnings, forKey: .warnings)
    try container.encode(job.error.map { ProblemDocument($0) }, forKey: .error)
    try container.encode(outputs, forKey: .outputs)
    try container.encode(
      Inputs(config: job.config.parts.map(Self.input), checkpoint: job.checkpoint.map(Self.input)), forKey: .inputs)
    try container.encode(job.options, forKey: .options)
    try container.encode(job.isReused, forKey: .reused)
    try container.encode(job.isPinned, forKey: .pinned)
    try container.encode(job.ownership.owner, forKey: .owner)
    try container.encode(job.ownership.team, forKey: .team)
    try container.encode(job.webhook.map(WebhookDocument.init), forKey: .webhook)
  }

  private var outputs: [Output] {
    job.outputs.map {
      Output(
        name: $0.name, size: $0.size, sha256: $0.sha256,
        url: "/v1/jobs/\(job.id)/outputs/\($0.name.path)")
    }
  }

  private static func input(_ input: JobInput) -> Input {
    switch input {
    case .upload(let id, let name): Input(filename: name, upload: id, url: nil, inline: nil)
    case .url(let url, let name): Input(filename: name, upload: nil, url: url.withoutQuery, inline: nil)
    case .hub(let hub, let name):
      Input(
        filename: name, upload: nil, url: nil, inline: nil, hub: hub.reference.repository,
        revision: hub.reference.revision, commit: hub.commit, subfolder: hub.reference.subfolder,
        variant: hub.reference.variant,
        files: hub.reference.files ?? hub.reference.page.map { [$0] }, carry: hub.carry)
    case .inline, .components: Input(filename: input.name, upload: nil, url: nil, inline: true)
    }
  }
}

/// Progress with `phase` present even when it is null.
private struct ProgressDocument: Encodable {
  private enum CodingKeys: String, CodingKey {
    case phase, bytesDone, bytesTotal, tensorsDone, tensorsTotal, phases
  }

  let progress: JobProgress

  init(_ progress: JobProgress) { self.progress = progress }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(progress.phase, forKey: .phase)
    try container.encode(progress.bytesDone, forKey: .bytesDone)
    try container.encode(progress.bytesTotal, forKey: .bytesTotal)
    try container.encode(progress.tensorsDone, forKey: .tensorsDone)
    try container.encode(progress.tensorsTotal, forKey: .tensorsTotal)
    try container.encode(progress.phases ?? [:], forKey: .phases)
  }
}

/// A page of jobs.
struct JobListDocument: Encodable, Sendable {
  let jobs: [JobDocument]
  /// Pass it as `cursor` for the next page; null on the last one.
  let nextCursor: Identifier?
  /// By status; nil unless they were asked for.
  let counts: [JobStatus: Int]?

  private enum CodingKeys: String, CodingKey { case jobs, nextCursor, counts }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(jobs, forKey: .jobs)
    try container.encode(nextCursor, forKey: .nextCursor)
    if let counts {
      try container.encode(
        Dictionary(uniqueKeysWithValues: counts.map { ($0.rawValue, $1) }), forKey: .counts)
    }
  }
}
