import API
import CCurl
import Core
package import Foundation
package import HTTPTypes
package import SystemPackage

/// One HTTP request over libcurl with everything in hand: method, header fields, a body from memory or a file, and an answer
/// that is kept or passed on as it comes. Blocks; used once, on one thread. Redirects are not followed.
///
/// `CurlTransfer` is for files that strangers name; this is for the requests of the client commands and for webhooks.
package final class CurlRequest {
  /// What is sent.
  package enum Body {
    case none
    case data(Data)
    /// Bytes of an open file. `sent` sees them as they go.
    case file(FileDescriptor, Range<Int>, sent: (UnsafeRawBufferPointer) -> Void)
  }

  /// The head of an answer.
  package struct Head {
    package var status = 0
    package var headers = HTTPFields()
  }

  /// An answer; the body is empty when a sink took it.
  package struct Answer {
    package let head: Head
    package let body: Data

    package init(head: Head, body: Data) {
      self.head = head
      self.body = body
    }
  }

  /// Takes pieces of a body; throws to end the request.
  package typealias Sink = (Head, UnsafeRawBufferPointer) throws -> Void

  private let method: String
  private let url: SourceURL
  private let headers: [(name: String, value: String)]
  private let body: Body
  private let limits: Limits
  private var sink: Sink?
  private let isCancelled: () -> Bool

  private var head = Head()
  private var received = Data()
  private var sentBytes = 0
  private var failure: (any Error)?
  private var socket: VettedSocket

  /// What bounds a request.
  package struct Limits {
    var connectSeconds = 20
    /// Seconds without a byte in either direction.
    var silentSeconds = 60
    /// Bytes of an answer that is kept in memory.
    var answerBytes = 16 << 20
    /// False lets the body of the answer go by unread.
    var keepsAnswer = true
    /// Seconds for everything; nil for as long as bytes flow.
    package var totalSeconds: Int?

    package init(
      connectSeconds: Int = 20, silentSeconds: Int = 60, answerBytes: Int = 16 << 20, keepsAnswer: Bool = true,
      totalSeconds: Int? = nil
    ) {
      self.connectSeconds = connectSeconds
      self.silentSeconds = silentSeconds
      self.answerBytes = answerBytes
      self.keepsAnswer = keepsAnswer
      self.totalSeconds = totalSeconds
    }
  }

  package init(
    _ method: HTTPRequest.Method, _ url: SourceURL, headers: [(name: String, value: String)] = [], body: Body = .none,
    policy: EgressPolicy? = nil, limits: Limits = Limits(), isCancelled: @escaping () -> Bool = { false },
    sink: Sink? = nil
  ) {
    self.method = method.rawValue
    self.url = url
    self.headers = headers
    self.body = body
    socket = VettedSocket(policy: policy, host: url.host)
    self.limits = limits
    self.isCancelled = isCancelled
    self.sink = sink
  }

  /// Runs the request and answers whatever the server says, errors of HTTP included.
  ///
  /// Throws `TransferFailure` when there is no answer or it breaks off, and what the sink throws.
  package func perform() throws -> Answer {
    guard let handle = CurlHandles.make() else {
      throw TransferFailure(ConversionError(.internal, "libcurl cannot be started"))
    }
    defer { curl_easy_cleanup(handle) }
    var list: UnsafeMutablePointer<curl_slist>?
    defer { curl_slist_free_all(list) }
    for header in headers { list = curl_slist_append(list, "\(header.name): \(header.value)") }
    try configure(handle, headers: list)

    let code = withExtendedLifetime(self) { curl_easy_perform(handle) }
    if let failure { throw failure }
    guard code == CURLE_OK else { throw socket.failure(for: code, of: "the request to") }
    return Answer(head: head, body: received)
  }

  private func configure(
    _ handle: UnsafeMutableRawPointer, headers: UnsafeMutablePointer<curl_slist>?
  ) throws(TransferFailure) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    var options = CurlOptions(handle)
    options.set(CURLOPT_URL, url.text)
    options.set(CURLOPT_PROTOCOLS_STR, "http,https")
    options.set(CURLOPT_FOLLOWLOCATION, 0)
    options.set(CURLOPT_USERAGENT, "zooport/\(Core.Zooport.version)")
    options.set(CURLOPT_HTTPHEADER, headers)
    options.set(CURLOPT_NETRC, 0)
    options.set(CURLOPT_NOSIGNAL, 1)
    // Otherwise the end of a request waits for the thread that asks for its name.
    options.prefer(CURLOPT_QUICK_EXIT, 1)
    options.set(CURLOPT_CONNECTTIMEOUT, limits.connectSeconds)
    options.set(CURLOPT_LOW_SPEED_LIMIT, 1)
    options.set(CURLOPT_LOW_SPEED_TIME, limits.silentSeconds)
    options.set(CURLOPT_BUFFERSIZE, 256 << 10)
    if let seconds = limits.totalSeconds { options.set(CURLOPT_TIMEOUT, seconds) }
    options.set(CURLOPT_CUSTOMREQUEST, method)
    configureBody(&options, context)

    options.set(CURLOPT_HEADERDATA, context)
    options.note(
      zooport_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        CurlRequest.from(context).receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
        return size * count
      }, of: CURLOPT_HEADERFUNCTION)
    options.set(CURLOPT_WRITEDATA, context)
    options.note(
      zooport_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        return CurlRequest.from(context).receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
      }, of: CURLOPT_WRITEFUNCTION)
    options.set(CURLOPT_NOPROGRESS, 0)
    options.set(CURLOPT_XFERINFODATA, context)
    options.note(
      zooport_curl_set_progress(handle) { context, _, _, _, _ in
        guard let context else { return 1 }
        return CurlRequest.from(context).isStopped ? 1 : 0
      }, of: CURLOPT_XFERINFOFUNCTION)
    if socket.policy != nil {
      // No proxy from the environment: the vetted address must be the server's own.
      options.set(CURLOPT_PROXY, "")
      socket.configureTrust(of: &options)
      options.set(CURLOPT_OPENSOCKETDATA, context)
      options.note(
        zooport_curl_set_open_socket(handle) { context, _, address in
          guard let context, let address else { return -1 }
          return CurlRequest.from(context).socket.open(address)
        }, of: CURLOPT_OPENSOCKETFUNCTION)
    }
    try options.check()
  }

  private func configureBody(_ options: inout CurlOptions, _ context: UnsafeMutableRawPointer) {
    let size: Int
    switch body {
    case .none:
      if method == "HEAD" { options.set(CURLOPT_NOBODY, 1) }
      // A POST without a body has a length all the same.
      guard method == "POST" || method == "PATCH" else { return }
      size = 0
    case .data(let data): size = data.count
    case .file(_, let range, _): size = range.count
    }
    options.set(CURLOPT_UPLOAD, 1)
    options.note(
      zooport_curl_set_offset(options.handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(size)), of: CURLOPT_INFILESIZE_LARGE)
    options.set(CURLOPT_READDATA, context)
    options.note(
      zooport_curl_set_write(options.handle, CURLOPT_READFUNCTION) { space, size, count, context in
        guard let space, let context else { return Int(CURL_READFUNC_ABORT) }
        return CurlRequest.from(context).fill(UnsafeMutableRawBufferPointer(start: space, count: size * count))
      }, of: CURLOPT_READFUNCTION)
  }

  private static func from(_ context: UnsafeMutableRawPointer) -> CurlRequest {
    Unmanaged<CurlRequest>.fromOpaque(context).takeUnretainedValue()
  }

  private var isStopped: Bool {
    guard isCancelled() else { return false }
    failure = TransferFailure(ConversionError(.cancelled, "cancelled"))
    return true
  }

  private func receiveHeader(_ bytes: UnsafeRawBufferPointer) {
    let line = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
    if line.hasPrefix("HTTP/") {
      // The head of another answer: that of a proxy or `100 Continue` came before.
      head = Head(status: line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
    } else if let colon = line.firstIndex(of: ":"), let name = HTTPField.Name(String(line[..<colon])) {
      head.headers[name] = String(line[line.index(after: colon)...].trimmingSpaces)
    }
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    do {
      // The text of an error is for people, not for the file that the sink writes.
      if let sink, (200..<300).contains(head.status) {
        try sink(head, bytes)
      } else if limits.keepsAnswer {
        guard received.count + bytes.count <= limits.answerBytes else {
          throw TransferFailure("\(url.host) answered more than \(limits.answerBytes) bytes")
        }
        received.append(contentsOf: bytes)
      }
      return bytes.count
    } catch {
      failure = error
      return 0
    }
  }

  private func fill(_ space: UnsafeMutableRawBufferPointer) -> Int {
    switch body {
    case .none: return 0
    case .data(let data):
      let count = min(space.count, data.count - sentBytes)
      data.copyBytes(to: space, from: data.startIndex + sentBytes..<data.startIndex + sentBytes + count)
      sentBytes += count
      return count
    case .file(let file, let range, let sent):
      let count = min(space.count, range.count - sentBytes)
      guard count > 0 else { return 0 }
      do {
        let part = UnsafeMutableRawBufferPointer(rebasing: space[..<count])
        let done = try file.read(fromAbsoluteOffset: Int64(range.lowerBound + sentBytes), into: part)
        guard done > 0 else { throw Errno.ioError }
        sent(UnsafeRawBufferPointer(rebasing: part[..<done]))
        sentBytes += done
        return done
      } catch {
        failure = error
        return Int(CURL_READFUNC_ABORT)
      }
    }
  }
}
