import API
import Core
import Inputs
import Jobs

/// The documents of the API, declared once: answers are checked against these, and the reference is made of them.
enum SchemaName: String, CaseIterable, Sendable {
  case job = "Job"
  case jobEvent = "JobEvent"
  case jobList = "JobList"
  case jobSubmission = "JobSubmission"
  case jobForm = "JobForm"
  case input = "Input"
  case webhook = "Webhook"
  case webhookEvent = "WebhookEvent"
  case options = "Options"
  case plan = "Plan"
  case upload = "Upload"
  case uploadList = "UploadList"
  case downloadLink = "DownloadLink"
  case me = "Me"
  case model = "Model"
  case modelList = "ModelList"
  case health = "Health"
  case readiness = "Readiness"
  case problem = "Problem"
  case finding = "Finding"

  var schema: JSONSchema {
    switch self {
    case .job: Self.jobSchema
    case .jobEvent:
      .object([
        "id": .string().about("For `Last-Event-ID`."), "event": .choice(["job"]),
        "data": .embedded(.job).about("The job after the change."),
      ])
    case .jobList:
      .object(
        [
          "jobs": .array(.named(.job)).about("Newest first."), "next_cursor": Self.nextCursor,
          "counts": JSONSchema.object([
            "queued": .count, "running": .count, "succeeded": .count, "failed": .count, "cancelled": .count,
          ]).about("All jobs that the query finds whatever its `status`; with `counts=true` only."),
        ], optional: ["counts"])
    case .jobSubmission:
      .object(
        [
          "command": Self.command, "model": Self.modelName, "src_fmt": Self.sourceFormat, "tgt_fmt": Self.targetFormat,
          "config": JSONSchema.anyOf([.named(.input), .array(.named(.input), atLeast: 1)]).orNull
            .about("The config, or one for each component of a model; a repository of a hub brings its own."),
          "checkpoint": JSONSchema.anyOf([.named(.input), .array(.named(.input), atLeast: 1)]).orNull
            .about("One file, or one for each shard and component; absent for `convert-config`."),
          "options": .named(.options).orNull, "reuse": Self.reuse,
          "webhook": JSONSchema.named(.webhook).orNull.about("Who is told of the end of the job."),
        ], optional: ["command", "config", "checkpoint", "options", "reuse", "webhook"])
    case .jobForm:
      .object(
        [
          "command": Self.command, "model": Self.modelName, "src_fmt": Self.sourceFormat, "tgt_fmt": Self.targetFormat,
          "config": JSONSchema.anyOf([.bytes, .array(.bytes)])
            .about(
              "The config, as a file or as an Input in JSON; once for each component, as `image_model/config.json`."),
          "checkpoint": .array(.bytes)
            .about("The checkpoint; as often as there are shards. Files of components are named `COMPONENT/FILE`."),
          "options": .string().about("Options in JSON."),
          "reuse": .choice(["true", "false"]).about("As in JobSubmission."),
          "webhook": .string().about("A Webhook in JSON."),
        ], optional: ["command", "config", "checkpoint", "options", "reuse", "webhook"])
    case .input: Self.inputSchema
    case .options: Self.optionsSchema
    case .webhook:
      .object([
        "url": .string(longest: SourceURL.limit).about("Where the message is posted."),
        "secret": .string(longest: 128).about("`whsec_` and the Base64 of 24 to 64 bytes; never shown again."),
      ])
    case .webhookEvent:
      .object([
        "type": .choice(WebhookEvent.types), "timestamp": Self.time.about("When the job ended."),
        "data": JSONSchema.named(.job).about("The job as it is when the message is sent."),
      ])
    case .plan: Self.planSchema
    case .upload:
      .object([
        "id": Self.id, "filename": Self.fileName,
        "size": JSONSchema.count.orNull.about("Bytes; null until the client has said it."),
        "offset": .count.about("Bytes that have arrived."),
        "sha256": Self.sha256.orNull.about("Null until all bytes have arrived."), "created_at": Self.time,
        "expires_at": Self.time.orNull.about("When an unfinished upload is removed unless more arrives."),
        "url": .string(),
      ])
    case .uploadList:
      .object(["uploads": .array(.named(.upload)).about("Newest first."), "next_cursor": Self.nextCursor])
    case .downloadLink:
      .object([
        "url": .string().about("Path and query. Anyone who has this URL can download the output."),
        "expires_at": Self.time.about("A download that has begun goes on after that."),
      ])
    case .me:
      .object([
        "token": JSONSchema.string().orNull.about("Its name; null while the service has no tokens."),
        "scopes": JSONSchema.array(.choice(AccessScope.allCases.map(\.rawValue)))
          .about("What the caller may do; all of them while the service has no tokens."),
        "team": JSONSchema.string().orNull,
        "expires_at": Self.time.orNull, "visibility": .choice(Visibility.allCases.map(\.rawValue)),
        "stored_bytes": JSONSchema.count.orNull.about("Of the caller's uploads and outputs; null without a token."),
        "free_bytes": .count.about("What the service can still store."),
        "limits": .object([
          "max_upload": .count, "queue_limit": JSONSchema.count.orNull, "token_queue_limit": JSONSchema.count.orNull,
          "token_running_limit": JSONSchema.count.orNull, "token_storage_limit": JSONSchema.count.orNull,
        ]).about("The settings of these names; null is no limit."),
      ])
    case .model:
      .object(
        [
          "name": .string(), "aliases": .array(.string()), "formats": .array(.string()),
          "lines": JSONSchema.array(
            .object(["text": .string(), "composed": .boolean.about("The Model Zoo tool does not list these pairs.")])
          ).about("All pairs in a few lines; `A .. B` stands for both formats and all between them."),
          "conversions": JSONSchema.array(
            .object([
              "src_fmt": .string(), "tgt_fmt": .string(), "note": .string(),
              "composed": .boolean.about("Made of others; the Model Zoo tool does not list it."),
            ])
          ).about("Every pair; left out in a list of models."),
        ], optional: ["conversions"])
    case .modelList: .object(["models": .array(.named(.model))])
    case .health: .object(["status": .choice(["ok"])])
    case .readiness:
      .object([
        "status": .choice(["ready", "not ready"]),
        "checks": .array(.object(["name": .string(), "ok": .boolean, "detail": .string()])),
      ])
    case .problem:
      .object(
        [
          "type": .string().about("`urn:zooport:problem:` and the code."), "title": .string(),
          "status": .integer(100...599), "detail": .string(),
          "code": .string().about("Stable; [the table of codes](rest.md#errors)."),
          "diagnostics": .array(.named(.finding)).about("One for each fault."),
          "limit": .object(["name": .string(), "value": .count])
            .about("The limit that was reached; present with `limit_reached` only."),
        ], optional: ["limit"])
    case .finding:
      .object(
        [
          "severity": .choice(["error", "warning"]), "code": .string(),
          "subject": .string().about("The field, config key, tensor or file; empty for all."), "message": .string(),
          "rule": .string().about("File and line of the conversion rule."),
        ], optional: ["rule"])
    }
  }

  private static let jobSchema = JSONSchema.object([
    "id": id, "url": .string(), "status": .choice(JobStatus.allCases.map(\.rawValue)), "command": command,
    "model": .string(), "src_fmt": .string(), "tgt_fmt": .string(), "created_at": time,
    "started_at": time.orNull.about("Of the latest attempt."), "finished_at": time.orNull,
    "not_before": time.orNull.about("Set while it waits for another attempt."),
    "queue_position": JSONSchema.integer(1...(1 << 31)).orNull
      .about(
        "1 is next; null unless it waits for a worker, and up to a second after it was queued. Owners take turns, so new "
          + "jobs of others may come before it."),
    "attempt": .count.about("How often it was started."),
    "progress": .object([
      "phase": .choice(ConversionProgress.Phase.allCases.map(\.rawValue)).orNull,
      "bytes_done": .count, "bytes_total": .count, "tensors_done": .count, "tensors_total": .count,
      "phases": JSONSchema.object(
        optional: ConversionProgress.Phase.allCases.map { ($0.rawValue, time) }
      ).about("When each phase of the latest attempt began; of a reused job, of the one that made the outputs."),
    ]),
    "warnings": .array(.string()), "error": JSONSchema.named(.problem).orNull,
    "outputs": .array(
      .object(["name": outputName, "size": .count.about("Bytes."), "sha256": sha256, "url": .string()])),
    "inputs": .object([
      "config": JSONSchema.anyOf([inputOfJob, .array(inputOfJob)]).about("An array where each component has one."),
      "checkpoint": .array(inputOfJob),
    ]),
    "options": .named(.options), "reused": .boolean.about("The outputs are those of an equal job."),
    "pinned": .boolean.about("It does not expire."),
    "owner": JSONSchema.string().orNull.about("The name of the token that submitted it."),
    "team": JSONSchema.string().orNull,
    "webhook": JSONSchema.object([
      "id": id.about("Of the message, as `webhook-id`."), "host": .string(),
      "state": .choice(Webhook.State.allCases.map(\.rawValue)), "attempts": .count,
      "last_status": JSONSchema.integer(100...999).orNull.about("What the receiver answered last."),
      "last_error": JSONSchema.string().orNull, "next_attempt_at": time.orNull, "delivered_at": time.orNull,
    ]).orNull,
  ])

  private static let inputSchema = JSONSchema.anyOf([
    .object(["upload": id.about("A file that was uploaded."), "component": component], optional: ["component"]),
    .object(
      [
        "url": .string().about("An http(s) file that the service downloads, or a page of a model."),
        "component": component,
      ], optional: ["component"]),
    .object(
      [
        "hub": .string().about("A repository of the model hub: `OWNER/NAME`, or the URL of its page."),
        "revision": .string().about("A branch, tag or commit; `main` unless given."), "subfolder": .string(),
        "variant": .string(), "files": .array(.string(), atLeast: 1).about("Instead of choosing by what is there."),
        "carry": .boolean.about("Brings tokenizer and generation files to the outputs."),
        "token": .string().about("Opens a private repository; never shown again."), "component": component,
      ], optional: ["revision", "subfolder", "variant", "files", "carry", "token", "component"]),
    .object(
      ["inline": .anyObject.about("A config, used byte for byte."), "component": component], optional: ["component"]),
  ])

  private static let component = JSONSchema.string()
    .about("The component of a composed model that it is of, such as `image_model`.")

  private static let inputOfJob = JSONSchema.object(
    [
      "filename": fileName, "upload": id, "url": .string().about("Without its query."), "inline": .boolean,
      "hub": .string(), "revision": .string(),
      "commit": .string().about("What the job is pinned to, from its first attempt on."), "subfolder": .string(),
      "variant": .string(), "files": .array(.string()), "carry": .boolean,
    ],
    optional: [
      "upload", "url", "inline", "hub", "revision", "commit", "subfolder", "variant", "files", "carry",
    ])

  private static let planSchema = JSONSchema.object([
    "convertible": .boolean,
    "error": JSONSchema.object(["code": .string(), "message": .string()]).orNull.about("Why it is not convertible."),
    "model": .string().about("As found, or as asked for."), "src_fmt": .string(), "tgt_fmt": .string(),
    "container": JSONSchema.choice(ContainerKind.allCases.map(\.rawValue)).orNull,
    "hops": .array(.string()).about("The formats that the conversion passes through."),
    "inputs": .array(
      .object(["name": .string(), "size": .count, "remote": .boolean.about("It would be downloaded or streamed.")])),
    "totals": .object([
      "tensors_in": .count, "tensors_out": .count, "parameters": .count.about("Elements of all tensors that are read."),
      "bytes_in": .count, "bytes_out": .count, "bytes_to_download": .count,
      "peak_memory": .count.about("Estimated."), "disk_needed": .count,
    ]),
    "diagnostics": .array(
      .object([
        "severity": .choice(["error", "warning"]), "code": .string(), "subject": .string(), "message": .string(),
        "rule": JSONSchema.string().orNull,
      ])),
    "unmatched_keys": .array(.string()),
    "source_config": JSONSchema.anyObject.orNull.about("The config that was read; null where it cannot be converted."),
    "config": JSONSchema.anyObject.orNull.about("The config that would be written."),
    "tensors": .array(
      .object([
        "key": .string(), "dtype": .string(), "shape": .array(.count), "sources": .array(.string()),
        "transform": .string(),
      ])),
    "commits": .array(.string()).about("What references to a hub stand for."),
    "planning": .object(["bytes_fetched": .count, "seconds": .number]),
  ])

  private static let optionsSchema = JSONSchema.object(
    [
      "drop_unmatched_keys": .boolean.about("Leaves out keys that no rule matches, instead of failing."),
      "allow_incomplete": .boolean.about(
        "What a checkpoint lacks, has besides or has in another shape than its config says is a warning, not an error."),
      "output_format": JSONSchema.choice(OutputFormat.allCases.map(\.rawValue)).orNull
        .about("The container of the outputs; null is the usual one of the target."),
      "max_shard_size": JSONSchema.anyOf([.integer(0...(1 << 53)), .string()]).orNull.about(
        "Maximum bytes of tensors in one file, or a size such as `5GB`; 0 writes one file. Null is 10GB from cs-2.0 and "
          + "later, and one file from older releases."),
      "one_checkpoint": .boolean.about(
        "Writes a model of several components for hf as one checkpoint of transformers, not as a folder for each."),
      "dtype": .choice(Precision.allCases.map(\.rawValue))
        .about("The type of floating-point tensors; `keep` leaves each as it is."),
      "verify": .boolean.about("Reads what was written again and compares every tensor with the plan."),
      "stream": .boolean.about("Reads a checkpoint that is elsewhere in ranges and stores nothing of it."),
    ],
    optional: [
      "drop_unmatched_keys", "allow_incomplete", "output_format", "max_shard_size", "one_checkpoint", "dtype", "verify",
      "stream",
    ])

  private static let command = JSONSchema.choice(ConversionRequest.Command.allCases.map(\.rawValue))
    .about("`convert` unless given.")
  private static let modelName = JSONSchema.string(longest: 200).about("A name or alias of the catalogue, or `auto`.")
  private static let sourceFormat = JSONSchema.string(longest: 200).about("Such as `hf` or `cs-1.8`, or `auto`.")
  private static let targetFormat = JSONSchema.string(longest: 200).about("Such as `cs-1.8`.")
  private static let reuse = JSONSchema.boolean.about("False runs the job though an equal one has outputs.")

  private static let nextCursor = id.orNull.about("Pass it as `cursor` for the next page; null on the last one.")

  /// The id of a job or an upload.
  static let id = JSONSchema.string(pattern: "^[0-9abcdefghjkmnpqrstvwxyz]{26}$")
  static let fileName = JSONSchema.string(longest: FileName.outputLimit)
  private static let outputName = JSONSchema.string(longest: FileName.limit + 1 + FileName.outputLimit)
    .about("`COMPONENT/FILE` for a model of components.")
  private static let sha256 = JSONSchema.string(pattern: "^[0-9a-f]{64}$")
  private static let time = JSONSchema.string(format: "date-time")
}
