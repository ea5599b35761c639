import Core

/// A job as a server tells it; the fields that the client commands use.
struct RemoteJob: Decodable, Sendable {
  struct Output: Decodable, Sendable {
    let name: FileName
    let size: Int
    let sha256: String
    let url: String
  }

  let id: Identifier
  let url: String
  let status: JobStatus
  let command: String
  let model: String
  let srcFmt: String
  let tgtFmt: String
  let createdAt: Timestamp
  let progress: JobProgress
  let warnings: [String]
  let error: RemoteProblem?
  let outputs: [Output]

  /// Progress as the bar of the command line shows it; nil when the job does not run.
  var conversionProgress: ConversionProgress? {
    guard let phase = progress.phase.flatMap(ConversionProgress.Phase.init) else { return nil }
    var result = ConversionProgress(phase: phase)
    result.bytesDone = progress.bytesDone
    result.bytesTotal = progress.bytesTotal
    result.tensorsDone = progress.tensorsDone
    result.tensorsTotal = progress.tensorsTotal
    return result
  }
}

/// Why a server refused a request, or why a job failed. Codes are text: a newer server may have more of them.
struct RemoteProblem: Decodable, Sendable {
  struct Diagnostic: Decodable, Sendable {
    let message: String
    let rule: String?
  }

  let code: String
  let detail: String
  let diagnostics: [Diagnostic]
}

/// A page of jobs.
struct RemoteJobList: Decodable {
  let jobs: [RemoteJob]
}

/// An upload as a server tells it.
struct RemoteUpload: Decodable {
  let id: Identifier
  let size: Int?
  let sha256: String?
}
