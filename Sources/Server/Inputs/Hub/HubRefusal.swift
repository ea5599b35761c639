import API
import Core

/// Why a hub answered with a status that is no success.
///
/// Told apart by `X-Error-Code` and the status, as `hf_raise_for_status` of huggingface_hub does.
struct HubRefusal {
  let answer: Fetcher.Answer
  let reference: HubReference
  /// The file that was asked for; nil for the list of files.
  let path: String?
  /// The base URL of the hub.
  let endpoint: SourceURL
  /// Whose token was shown.
  let credential: Credential

  /// Whose token a request shows.
  enum Credential {
    case none
    /// That of the request or the job.
    case request
    /// That of `--hub-token-file` or `HF_TOKEN`.
    case `operator`
  }

  /// The failure to report.
  var failure: TransferFailure {
    let status = answer.head.status
    let repository = reference.repository
    let said = answer.head.errorMessage.map { " (the hub says: \($0))" } ?? ""
    let missingFile = ConversionError(
      .fileNotFound, "\(repository) has no file \(path ?? "") at \(reference.revision)")
    switch answer.head["x-error-code"] {
    case nil where status == 401 && credential != .none && isOfToken: return TransferFailure(refusedToken)
    case "GatedRepo":
      let page = endpoint.text.hasSuffix("/") ? endpoint.text : endpoint.text + "/"
      return TransferFailure(
        ConversionError(
          .sourceGated,
          "\(repository) is gated: accept its terms at \(page)\(repository), then give a token of an account that was "
            + "granted access"))
    case "RevisionNotFound":
      return TransferFailure(
        ConversionError(.revisionNotFound, "\(repository) has no branch, tag or commit \(reference.revision)"))
    case "EntryNotFound": return TransferFailure(missingFile)
    case "RepoNotFound":
      return TransferFailure(
        ConversionError(
          .sourceNotFound, "there is no repository \(repository), or it is private; \(advice)\(organisation)"))
    case nil where status == 401 || status == 403:
      return TransferFailure(
        ConversionError(.sourceNotFound, "the hub does not show \(repository); \(advice)\(organisation)\(said)"))
    case nil where status == 404 && path != nil: return TransferFailure(missingFile)
    case nil where status == 404:
      return TransferFailure(
        ConversionError(.sourceNotFound, "there is no repository \(repository) at \(reference.revision)\(organisation)")
      )
    default: return TransferFailure(answer.head, from: answer.url)
    }
  }

  /// A token that expired or was revoked closes even what is open to everybody.
  private var isOfToken: Bool { answer.head["x-error-message"]?.lowercased().contains("credentials") ?? false }

  private var refusedToken: ConversionError {
    switch credential {
    case .operator:
      ConversionError(
        .tokenRefused,
        "the hub takes the token of --hub-token-file or HF_TOKEN no longer, or never did: renew or remove it, or give a "
          + "token of your own with the input")
    default:
      ConversionError(
        .tokenRefused,
        "the hub does not take the token that was given with the input: it may have expired or been revoked; renew it, or "
          + "leave it out if \(reference.repository) is open")
    }
  }

  private var advice: String {
    switch credential {
    case .none: "if it is private, give a token"
    case .request: "the token that was given does not open it"
    case .operator: "the token of --hub-token-file or HF_TOKEN does not open it"
    }
  }

  /// Nothing but the name tells the page of an organisation from that of one of the oldest models.
  private var organisation: String {
    reference.repository.contains("/")
      ? "" : ". If \(reference.repository) is an organisation, name one of its models: \(reference.repository)/NAME"
  }
}

extension TransferHead {
  /// What the server says of an error in `X-Error-Message`, as the hub does: printable, and short enough for a sentence.
  var errorMessage: String? {
    guard let text = self["x-error-message"] else { return nil }
    let printable = text.unicodeScalars.filter { (0x20...0x7E).contains($0.value) }.prefix(200)
    let message = String(String.UnicodeScalarView(printable)).trimmingSpaces
    return message.isEmpty ? nil : String(message)
  }
}
