import Core

/// Why a client command fails: what it says, and the status it exits with.
struct ClientFailure: Error {
  let message: String
  /// Further lines: findings of the server.
  var details: [String] = []
  var exitStatus: Int32 = 1

  init(_ message: String, exitStatus: Int32 = 1) {
    self.message = message
    self.exitStatus = exitStatus
  }

  /// What a server refused, or why a job failed. The status is that of `convert` for the same fault.
  init(_ problem: RemoteProblem) {
    message = problem.detail
    details = problem.diagnostics.map { finding in
      finding.rule.map { "\(finding.message) (\($0))" } ?? finding.message
    }
    if details == [problem.detail] { details = [] }
    // What the service finds wrong with a submission is an argument that was wrong.
    exitStatus =
      ErrorKind(rawValue: problem.code)?.exitStatus ?? (problem.code == FaultCode.invalidRequest.rawValue ? 2 : 1)
  }
}
