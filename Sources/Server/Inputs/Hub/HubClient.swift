import API
import Core
import Foundation

/// Asks a model hub what a repository holds. Blocks; for worker threads.
///
/// Speaks what `huggingface_hub` speaks, so mirrors serve: `/api/models/{repository}/revision/{revision}` for the list of
/// files, and `/{repository}/resolve/{revision}/{path}` for each file, whose head states commit, size and digest.
package struct HubClient: Sendable {
  /// The base URL.
  package let endpoint: SourceURL
  /// Sends under the policy of the service, with the host of the hub allowed: the operator chose it.
  var fetcher: Fetcher
  /// What the operator shows the hub when a request brings no token of its own.
  let token: HubToken?

  /// Bytes of a list of files.
  private static let listingLimit = 64 << 20

  init(
    endpoint: SourceURL, policy: EgressPolicy, limits: Fetcher.Limits, token: HubToken?,
    notice: (@Sendable (String) -> Void)? = nil
  ) {
    self.endpoint = endpoint
    fetcher = Fetcher(policy: policy.allowing(host: endpoint.host), limits: limits, notice: notice)
    self.token = token
  }

  /// What a hub says of a repository at a revision.
  struct Listing: Sendable {
    /// Nil when that is not known without asking for a file.
    var commit: String?
    /// Paths of all files; nil on a mirror that lists none.
    var files: [String]?
  }

  /// The answer of the API, the part that is used.
  private struct ModelInfo: Decodable {
    struct Sibling: Decodable { let rfilename: String }
    let sha: String?
    let siblings: [Sibling]?
  }

  /// What a revision is, and which files it has. A mirror of files need not have an API that says so.
  ///
  /// Throws `.sourceGated`, `.sourceNotFound`, `.revisionNotFound`, `.tokenRefused`, or `.fetchFailed`, also when a mirror
  /// lists files but does not say which commit a branch is.
  func listing(
    _ reference: HubReference, token: HubToken?, isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> Listing {
    let path = "api/models/\(reference.repository)/revision/\(PercentEncoding.encode(reference.revision))"
    let request = TransferRequest(.get, try url(path), token: token ?? self.token)
    let (answer, body) = try fetcher.document(request, limit: Self.listingLimit, isCancelled: isCancelled)
    if Self.withoutAPI.contains(answer.head.status), answer.head["x-error-code"] == nil {
      return Listing(commit: Self.commit([reference.revision]), files: nil)
    }
    guard answer.head.status < 400 else { throw refusal(answer, reference, token: token) }
    guard let info = try? JSONDecoder().decode(ModelInfo.self, from: Data(body)) else {
      throw TransferFailure("\(answer.url.host) answered something else than a list of files for \(reference)")
    }
    let files = info.siblings?.map(\.rfilename) ?? []
    let commit = Self.commit([info.sha, answer.head["x-repo-commit"], reference.revision])
    guard !files.isEmpty else { return Listing(commit: commit, files: nil) }
    guard let commit else { throw unknownCommit(of: reference) }
    return Listing(commit: commit, files: files)
  }

  /// Statuses of a server that keeps files under the names of the hub and has no API.
  private static let withoutAPI: Set = [403, 404, 405, 501]

  /// What is said of a mirror that does not tell which commit a branch is.
  func unknownCommit(of reference: HubReference) -> TransferFailure {
    TransferFailure(
      "\(endpoint.host) does not say which commit \(reference.revision) of \(reference.repository) is; name the "
        + "commit as the revision")
  }

  /// A file of a repository: where it is, its size, and its digest or entity tag. One request, which brings no byte of it,
  /// and a second one to the store of a mirror that does not say for it how large the file is.
  ///
  /// `commit` may be a branch where nobody said which commit that is. Throws as `listing` does, and `.fileNotFound`.
  func file(
    _ path: String, as name: FileName, of reference: HubReference, commit: String, token: HubToken?,
    isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> RemoteFile {
    let encoded = path.split(separator: "/").map { PercentEncoding.encode(String($0)) }.joined(separator: "/")
    let url = try url("\(reference.repository)/resolve/\(PercentEncoding.encode(commit))/\(encoded)")
    let shown = token ?? self.token
    let answer = try fetcher.retrying(isCancelled: isCancelled) { () throws(TransferFailure) in
      // The store that large files are redirected to knows less of them than the hub.
      let answer = try fetcher.send(TransferRequest(.head, url, token: shown), staying: true, isCancelled: isCancelled)
      let failure = TransferFailure(answer.head, from: url)
      if failure.mayPass { throw failure }
      return answer
    }
    guard answer.head.status < 400 else { throw refusal(answer, reference, path: path, token: token) }
    let head = answer.head
    if let stated = head["x-repo-commit"], HubReference.isCommit(commit), stated != commit {
      throw TransferFailure("\(endpoint.host) answered with commit \(stated) of \(reference.repository), not \(commit)")
    }
    var file = RemoteFile(name: name, url: url, token: shown)
    file.isOnHub = true
    file.target = answer.url.origin == url.origin ? nil : answer.url
    file.commit = Self.commit([head["x-repo-commit"], commit])
    file.size = head.size("x-linked-size") ?? ((200..<300).contains(head.status) ? head.size("content-length") : nil)
    var stored: RemoteFile?
    if let target = file.target, file.size == nil {
      // A store that does not answer may still send the file.
      stored = try? fetcher.describe(target, name: name, isCancelled: isCancelled)
      (file.size, file.servesRanges) = (stored?.size, stored?.servesRanges)
    }
    if let size = file.size, size > fetcher.limits.bytes {
      throw TransferFailure("\(path) has \(size) bytes; the limit of the service is \(fetcher.limits.bytes)")
    }
    let tag = head["x-linked-etag"] ?? head["etag"]
    let bare = tag?.drop { $0 == "W" || $0 == "/" }.filter { $0 != "\"" }.lowercased()
    if let bare, bare.utf8.count == 64, bare.utf8.allSatisfy(Self.isHexadecimal) {
      file.sha256 = bare
    } else {
      // The hub's tag of a small file is the id of its git blob.
      file.tag = tag ?? stored?.tag
    }
    return file
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }

  private static func commit(_ candidates: [String?]) -> String? {
    candidates.compactMap { $0 }.first(where: HubReference.isCommit)
  }

  private func url(_ path: String) throws(TransferFailure) -> SourceURL {
    let base = endpoint.text.hasSuffix("/") ? endpoint.text : endpoint.text + "/"
    do { return try SourceURL(base + path) } catch { throw TransferFailure("the hub has no such URL: \(error.reason)") }
  }

  private func refusal(
    _ answer: Fetcher.Answer, _ reference: HubReference, path: String? = nil, token given: HubToken?
  ) -> TransferFailure {
    let credential: HubRefusal.Credential = given != nil ? .request : token != nil ? .operator : .none
    return HubRefusal(
      answer: answer, reference: reference, path: path, endpoint: endpoint, credential: credential
    ).failure
  }
}
