import Crypto
import Foundation

/// A file on somebody else's server and what is known of it before its bytes.
struct RemoteFile: Sendable {
  /// The name under which a conversion sees it.
  let name: FileName
  let url: SourceURL
  /// Sent to the origin of `url` alone.
  var token: HubToken?
  /// Bytes; nil when the server does not say.
  var size: Int?
  /// Entity tag with its quotes, when the server promises that equal tags mean equal bytes.
  var tag: String?
  /// What the hub says of the bytes, in lower-case hexadecimal.
  var sha256: String?

  /// The hub that the operator chose keeps it, and its host is allowed.
  var isOnHub = false
  /// The commit of the repository that it is of, when the hub says so.
  var commit: String?
  /// Bytes that a file of its kind may have, where that is less than any file may.
  var limit = Int.max

  /// The name of its content in a cache; nil when nothing says whether two answers are equal.
  ///
  /// The digest of a file names it wherever it comes from. A tag means something at one URL only.
  var contentKey: String? {
    if let sha256 { return "sha256-\(sha256)" }
    guard let tag, let size else { return nil }
    let parts = [url.withoutQuery, tag, "\(size)"].map { "\($0.utf8.count):\($0)" }.joined()
    return "tag-\(SHA256.hash(data: Data(parts.utf8)).hexadecimal)"
  }
}

extension Fetcher {
  /// Asks for the head of a file that is named by a URL.
  ///
  /// A server that does not answer HEAD tells nothing: then size and tag are nil and the download finds out.
  /// Throws when the server cannot be reached at all.
  func describe(
    _ url: SourceURL, name: FileName, isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> RemoteFile {
    let answer = try retrying(isCancelled: isCancelled) { () throws(TransferFailure) in
      let answer = try send(TransferRequest(.head, url), isCancelled: isCancelled)
      let failure = TransferFailure(answer.head, from: answer.url)
      if failure.mayPass { throw failure }
      return answer
    }
    var file = RemoteFile(name: name, url: url)
    guard answer.head.status == 200 else { return file }
    file.size = answer.head.size("content-length")
    file.tag = answer.head.strongTag
    return file
  }
}
