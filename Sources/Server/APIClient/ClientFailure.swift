import API
import Core

/// Why a client command fails: what it says, and the status it exits with.
package struct ClientFailure: Error {
  package let message: String
  /// Further lines: findings of the server.
  package var details: [String] = []
  package var exitStatus: Int32 = 1

  package init(_ message: String, exitStatus: Int32 = 1) {
    self.message = message
    self.exitStatus = exitStatus
  }

  /// What a server refused, or why a job failed. The status is that of `convert` for the same fault.
  package init(_ problem: RemoteProblem) {
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
