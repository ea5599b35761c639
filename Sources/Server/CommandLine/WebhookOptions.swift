import API
import APIClient
import ArgumentParser
import Foundation

/// Whom the server tells of the end of a job.
struct WebhookOptions: ParsableArguments {
  @Option(help: "Address that the server tells of the end of the job; see docs/webhooks.md.")
  var webhook: String?

  // From a file, since other users see the arguments of a process.
  @Option(help: ArgumentHelp("File with the secret that signs the message: whsec_ and Base64.", valueName: "file"))
  var webhookSecretFile: String?

  /// The `webhook` of a submission.
  struct Target: Encodable {
    let url: String
    let secret: String
  }

  func validate() throws {
    guard (webhook == nil) == (webhookSecretFile == nil) else {
      throw ValidationError("--webhook and --webhook-secret-file belong together.")
    }
  }

  /// Reads the secret; nil when no webhook is asked for. Throws `ClientFailure` when the file holds none.
  func target() throws -> Target? {
    guard let webhook, let path = webhookSecretFile else { return nil }
    let text = (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    guard let text else { throw ClientFailure("\(path) cannot be read", exitStatus: 5) }
    guard WebhookSecret(text) != nil else { throw ClientFailure("\(path): \(WebhookSecret.rule)", exitStatus: 2) }
    return Target(url: webhook, secret: text)
  }
}
