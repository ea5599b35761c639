package import API
package import Core

/// A job as a server tells it; the fields that the client commands use.
package struct RemoteJob: Decodable, Sendable {
  package struct Output: Decodable, Sendable {
    package let name: FileName
    let size: Int
    let sha256: String
    let url: String
  }

  package let id: Identifier
  package let url: String
  package let status: JobStatus
  package let command: String
  package let model: String
  package let srcFmt: String
  package let tgtFmt: String
  package let createdAt: Timestamp
  package let progress: JobProgress
  package let warnings: [String]
  package let error: RemoteProblem?
  package let outputs: [Output]

  /// Progress as the bar of the command line shows it; nil when the job does not run.
  package var conversionProgress: ConversionProgress? {
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
package struct RemoteProblem: Decodable, Sendable {
  struct Diagnostic: Decodable, Sendable {
    let message: String
    let rule: String?
  }

  let code: String
  package let detail: String
  let diagnostics: [Diagnostic]
}

/// A page of jobs.
package struct RemoteJobList: Decodable {
  package let jobs: [RemoteJob]
}

/// An upload as a server tells it.
struct RemoteUpload: Decodable {
  let id: Identifier
  let size: Int?
  let sha256: String?
}
