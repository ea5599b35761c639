import API
import Core
import Crypto
import Foundation

/// A file on somebody else's server and what is known of it before its bytes.
package struct RemoteFile: Sendable {
  /// The name under which a conversion sees it.
  var name: FileName
  let url: SourceURL
  /// Sent to the origin of `url` alone.
  var token: HubToken?
  /// Bytes; nil when the server does not say.
  var size: Int?
  /// Entity tag with its quotes, when the server promises that equal tags mean equal bytes.
  var tag: String?
  /// What the hub says of the bytes, in lower-case hexadecimal.
  var sha256: String?

  /// Where the hub redirects to, which serves for a while; asked first by those who read ranges.
  var target: SourceURL?
  /// Whether its server sends parts of it; nil while that is not known.
  var servesRanges: Bool?

  /// The hub that the operator chose keeps it, and its host is allowed.
  var isOnHub = false
  /// The commit of the repository that it is of, when the hub says so.
  var commit: String?
  /// Bytes that a file of its kind may have, where that is less than any file may.
  var limit = Int.max

  /// The same file as one of a component of a model.
  func inside(_ component: String?) -> RemoteFile {
    var file = self
    file.name = name.inside(component)
    return file
  }

  /// The name of its content in a cache; nil when nothing says whether two answers are equal.
  ///
  /// The digest of a file names it wherever it comes from. A tag means something at one URL only, of which the query is a
  /// part: it may say which file is meant.
  var contentKey: String? {
    if let sha256 { return "sha256-\(sha256)" }
    guard let tag, let size else { return nil }
    let parts = [url.text, tag, "\(size)"].map { "\($0.utf8.count):\($0)" }.joined()
    return "tag-\(SHA256.hash(data: Data(parts.utf8)).hexadecimal)"
  }
}

extension Fetcher {
  /// Asks what a file that is named by a URL is, without its bytes.
  ///
  /// By HEAD; a server that refuses it, as a store does whose signed URLs are for GET alone, fails at it, leaves the size
  /// out or says that there is nothing, is asked for the first byte. What it does not say then stays nil.
  ///
  /// Throws when the server cannot be reached, refuses, or states more bytes than a file may have.
  func describe(
    _ url: SourceURL, name: FileName, isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> RemoteFile {
    let answer = try retrying(isCancelled: isCancelled) { () throws(TransferFailure) in
      let answer = try send(TransferRequest(.head, url), isCancelled: isCancelled)
      let failure = TransferFailure(answer.head, from: answer.url)
      // Some servers fail at every HEAD. The other request is tried again as often.
      if failure.mayPass, answer.head.status < 500 { throw failure }
      return answer
    }
    var head = answer.head
    let isProbed = head.status != 200 || head.size("content-length") ?? 0 == 0
    if isProbed {
      head = try retrying(isCancelled: isCancelled) { () throws(TransferFailure) in
        try firstByte(of: url, isCancelled: isCancelled)
      }
    }
    var file = RemoteFile(name: name, url: url)
    file.size = head.status == 200 ? head.size("content-length") : head.contentRange?.total
    if head.status == 416, head["content-range"] == "bytes */0" { file.size = 0 }
    file.tag = head.strongTag
    // A server that sent the whole file for its first byte has said enough.
    file.servesRanges = isProbed ? head.status != 200 : head.servesRanges
    if let size = file.size, size > limits.bytes {
      throw TransferFailure(
        "the file \(name) from \(url.host) has \(size) bytes; the limit of the service is \(limits.bytes)")
    }
    return file
  }

  /// The head of the answer to a request for the first byte: 206, 200, or 416 for a file without one.
  private func firstByte(
    of url: SourceURL, isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> TransferHead {
    var request = TransferRequest(.get, url)
    (request.first, request.last) = (0, 0)
    var whole: TransferHead?
    let answer: Answer
    do throws(TransferFailure) {
      answer = try send(request, isCancelled: isCancelled) { (head, _) throws(TransferFailure) in
        guard head.status == 200 else { return }
        // The whole file would come.
        whole = head
        throw TransferFailure("enough")
      }
    } catch {
      if let whole { return whole }
      throw error
    }
    guard [200, 206, 416].contains(answer.head.status) else { throw TransferFailure(answer.head, from: answer.url) }
    return answer.head
  }
}
