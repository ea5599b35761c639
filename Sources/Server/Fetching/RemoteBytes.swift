import Core
import Synchronization

/// A file on somebody else's server, read in ranges: how plans see a checkpoint, and streaming conversions its tensors.
///
/// A connection that drops is taken up at the byte where it dropped. All ranges are of one version of the file. Safe from
/// several threads; each read is a request of its own.
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
    /// The entity tag that the server of the bytes sent.
    var tag: String?
  }

  private let state = Mutex(State())

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
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ConversionError) {
    guard !buffer.isEmpty else { return }
    var done = 0
    do throws(TransferFailure) {
      try fetcher.retrying(isCancelled: isCancelled, progress: { done }) { () throws(TransferFailure) in
        try request(offset, buffer, &done)
      }
    } catch {
      throw error.error
    }
  }

  /// Asks for what is missing of the buffer.
  private func request(
    _ offset: Int, _ buffer: UnsafeMutableRawBufferPointer, _ done: inout Int
  ) throws(TransferFailure) {
    let known = state.withLock { $0 }
    var request = TransferRequest(.get, known.target ?? remote.url, token: known.target == nil ? remote.token : nil)
    let start = offset + done
    request.first = start
    request.last = offset + buffer.count - 1
    request.ifRange = known.tag
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
    if known.target != nil, [401, 403, 404, 410].contains(answer.head.status) {
      // The signature of the redirect is over; the hub gives a new one.
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
    guard head.status == 206 else {
      let hadTag = state.withLock { $0.tag != nil }
      throw TransferFailure(
        hadTag
          ? "\(remote.name) at \(remote.url.host) changed while it was read; pin a revision, or try again"
          : "\(remote.url.host) does not serve ranges, so \(remote.name) cannot be read before it is downloaded")
    }
    guard let range = head.contentRange, range.first == start, range.total ?? size == size else {
      throw TransferFailure("\(remote.url.host) answered with another range of \(remote.name) than was asked for")
    }
    if let tag = head.strongTag { state.withLock { $0.tag = $0.tag ?? tag } }
  }
}
