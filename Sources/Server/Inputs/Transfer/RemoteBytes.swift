import Core
import Synchronization

/// A file on somebody else's server, read in ranges: how plans see a checkpoint, and streaming conversions its tensors.
///
/// A connection that drops is taken up at the byte where it dropped. All ranges are of one version of the file, as far as
/// its server tells versions apart: by a strong tag, or a time of the last change, and by the size. The commit of a hub is
/// one version, so of its files with a digest the size alone is compared: the servers of a content network need not agree
/// on tags. Safe from several threads; each read is a request of its own.
final class RemoteBytes: RandomAccessBytes {
  let size: Int
  let sha256: String?

  private let remote: RemoteFile
  private let fetcher: Fetcher
  private let isCancelled: @Sendable () -> Bool
  private let received: @Sendable (Int) -> Void

  private struct State {
    /// Where redirects led to: signed URLs that serve for a while.
    var target: SourceURL?
    /// What the server of the bytes tells this version from others by.
    var validator: String?
  }

  private let state: Mutex<State>

  /// Precondition: the size of the file is known. `received` is told of bytes as they arrive.
  init(
    _ remote: RemoteFile, size: Int, fetcher: Fetcher, isCancelled: @escaping @Sendable () -> Bool,
    received: @escaping @Sendable (Int) -> Void = { _ in }
  ) {
    self.remote = remote
    self.size = size
    sha256 = remote.sha256
    self.fetcher = fetcher
    self.isCancelled = isCancelled
    self.received = received
    // The tag of the hub is not that of the store that it redirects to.
    state = Mutex(State(target: remote.target, validator: remote.isOnHub ? nil : remote.tag))
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    guard !buffer.isEmpty else { return }
    var done = 0
    do throws(TransferFailure) {
      try fetcher.retrying(.long, isCancelled: isCancelled, progress: { done }) { () throws(TransferFailure) in
        try request(offset, buffer, &done)
      }
    } catch {
      throw error.conversionError
    }
  }

  /// Asks for what is missing of the buffer.
  private func request(
    _ offset: Int, _ buffer: UnsafeMutableRawBufferPointer, _ done: inout Int
  ) throws(TransferFailure) {
    let known = state.withLock { $0 }
    var request = TransferRequest(.get, known.target ?? remote.url, token: remote.token)
    request.showsToken = known.target == nil
    let start = offset + done
    request.first = start
    request.last = offset + buffer.count - 1
    request.ifRange = known.validator
    var position = done
    let answer: Fetcher.Answer
    do throws(TransferFailure) {
      answer = try fetcher.send(request, isCancelled: isCancelled) { [self] (head, bytes) throws(TransferFailure) in
        if position == start - offset { try check(head, start: start) }
        guard bytes.count <= buffer.count - position else {
          throw TransferFailure("\(remote.url.host) sends more of \(remote.name) than was asked for")
        }
        UnsafeMutableRawBufferPointer(rebasing: buffer[position..<position + bytes.count]).copyMemory(from: bytes)
        position += bytes.count
        received(bytes.count)
      }
    } catch {
      done = position
      throw error
    }
    done = position
    // S3 and others say 400 of a signature that is over.
    if known.target != nil, [400, 401, 403, 404, 410].contains(answer.head.status) {
      // The hub gives a new one.
      state.withLock { $0.target = nil }
      throw TransferFailure(
        "\(answer.url.host) answered \(answer.head.status) for \(answer.url.withoutQuery)", mayPass: true)
    }
    guard answer.head.status == 206 else { throw TransferFailure(answer.head, from: answer.url) }
    if answer.url.origin != remote.url.origin { state.withLock { $0.target = answer.url } }
    guard done == buffer.count else {
      throw TransferFailure("the range of \(remote.name) from \(remote.url.host) ended early", mayPass: true)
    }
  }

  /// Looks at the head before the first byte of a range is taken.
  private func check(_ head: TransferHead, start: Int) throws(TransferFailure) {
    let known = state.withLock { $0.validator }
    guard head.status == 206 else {
      if head.isOther(than: known) { throw changed }
      throw TransferFailure(
        "\(remote.url.host) does not serve ranges, so \(remote.name) cannot be read before it is downloaded")
    }
    guard let range = head.contentRange, range.first == start else {
      throw TransferFailure("\(remote.url.host) answered with another range of \(remote.name) than was asked for")
    }
    // Not every server heeds If-Range.
    if head.isOther(than: known) || range.total ?? size != size { throw changed }
    if !isPinned, let validator = head.validator { state.withLock { $0.validator = $0.validator ?? validator } }
  }

  private var isPinned: Bool { remote.sha256 != nil && remote.commit != nil }

  private var changed: TransferFailure {
    TransferFailure("\(remote.name) at \(remote.url.host) changed while it was read; pin a revision, or try again")
  }
}
