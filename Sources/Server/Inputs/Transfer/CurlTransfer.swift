import CCurl
import Core
import Foundation

/// One request over libcurl without redirects. Used once, on one thread.
final class CurlTransfer {
  /// Takes the body of an answer with status 200 or 206 as it arrives; an error ends the transfer.
  typealias Receiver = (TransferHead, UnsafeRawBufferPointer) throws(TransferFailure) -> Void

  private let request: TransferRequest
  private let limits: Fetcher.Limits
  private let isCancelled: @Sendable () -> Bool
  private let receiver: Receiver

  private var headers: [String: String] = [:]
  private var head: TransferHead?
  /// Set by a callback that ended the transfer; more telling than libcurl's own code.
  private var failure: TransferFailure?
  private var handle: UnsafeMutableRawPointer?
  private var socket: VettedSocket

  /// The rate of the transfer is judged over whole windows; this is when the present one began, and the bytes since.
  private var window = (start: ContinuousClock.now, bytes: 0)

  /// Bytes of all header lines of one answer.
  private static let headerLimit = 256 << 10
  private var headerBytes = 0

  init(
    _ request: TransferRequest, policy: EgressPolicy, limits: Fetcher.Limits,
    isCancelled: @escaping @Sendable () -> Bool, receiver: @escaping Receiver
  ) {
    self.request = request
    socket = VettedSocket(policy: policy, host: request.url.host)
    self.limits = limits
    self.isCancelled = isCancelled
    self.receiver = receiver
  }

  /// Runs the request. Answers its head and, for a redirect, the URL it leads to.
  ///
  /// Any status is an answer. Throws when there is none, or not all of it.
  func perform(on handles: CurlHandles) throws(TransferFailure) -> (head: TransferHead, location: String?) {
    guard let taken = handles.take() else {
      throw TransferFailure(ConversionError(.internal, "libcurl cannot be started"))
    }
    var code = CURLE_FAILED_INIT
    defer { handles.give(taken, isGood: code == CURLE_OK) }
    handle = taken.pointer
    defer { handle = nil }
    var list: UnsafeMutablePointer<curl_slist>?
    for line in request.headerLines { list = curl_slist_append(list, line) }
    defer { curl_slist_free_all(list) }
    try configure(taken.pointer, headers: list)

    code = curl_easy_perform(taken.pointer)
    if let failure { throw failure }
    guard code == CURLE_OK else { throw socket.failure(for: code, of: "the download from") }
    let head = completedHead(taken.pointer)
    try checkCoding(head)
    var location: UnsafeMutablePointer<CChar>?
    zooport_curl_get_string(taken.pointer, CURLINFO_REDIRECT_URL, &location)
    guard (300..<400).contains(head.status), let location else { return (head, nil) }
    return (head, String(cString: location))
  }

  private func configure(
    _ handle: UnsafeMutableRawPointer, headers: UnsafeMutablePointer<curl_slist>?
  ) throws(TransferFailure) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    var options = CurlOptions(handle)
    options.set(CURLOPT_URL, request.url.text)
    options.set(CURLOPT_PROTOCOLS_STR, "http,https")
    options.set(CURLOPT_FOLLOWLOCATION, 0)
    options.prefer(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS)
    options.set(CURLOPT_USERAGENT, "zooport")
    options.set(CURLOPT_HTTPHEADER, headers)
    if request.method == .head { options.set(CURLOPT_NOBODY, 1) }
    // No proxy and no .netrc from the environment: the vetted address must be the server's own.
    options.set(CURLOPT_PROXY, "")
    options.set(CURLOPT_NETRC, 0)
    options.set(CURLOPT_NOSIGNAL, 1)
    // Otherwise the end of a request waits for the thread that asks for its name.
    options.prefer(CURLOPT_QUICK_EXIT, 1)
    options.set(CURLOPT_CONNECTTIMEOUT, limits.connectSeconds)
    options.set(CURLOPT_TIMEOUT, limits.totalSeconds)
    options.set(CURLOPT_LOW_SPEED_LIMIT, 1024)
    options.set(CURLOPT_LOW_SPEED_TIME, limits.stallSeconds)
    options.prefer(CURLOPT_BUFFERSIZE, 256 << 10)

    options.set(CURLOPT_HEADERDATA, context)
    options.note(
      zooport_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
          .receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
      }, of: CURLOPT_HEADERFUNCTION)
    options.set(CURLOPT_WRITEDATA, context)
    options.note(
      zooport_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
          .receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
      }, of: CURLOPT_WRITEFUNCTION)
    options.set(CURLOPT_NOPROGRESS, 0)
    options.set(CURLOPT_XFERINFODATA, context)
    options.note(
      zooport_curl_set_progress(handle) { context, _, _, _, _ in
        guard let context else { return 1 }
        return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().goesOn() ? 0 : 1
      }, of: CURLOPT_XFERINFOFUNCTION)
    socket.configureTrust(of: &options)
    options.set(CURLOPT_OPENSOCKETDATA, context)
    options.note(
      zooport_curl_set_open_socket(handle) { context, _, address in
        guard let context, let address else { return -1 }
        return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().socket.open(address)
      }, of: CURLOPT_OPENSOCKETFUNCTION)
    try options.check()
  }

  /// Takes one line of the head; anything but its count of bytes ends the transfer.
  private func receiveHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    headerBytes += bytes.count
    guard headerBytes <= Self.headerLimit else {
      failure = TransferFailure("the answer of \(request.url.host) has more than \(Self.headerLimit) bytes of headers")
      return 0
    }
    let line = String(decoding: bytes, as: UTF8.self)
    if line.hasPrefix("HTTP/") {
      // An interim answer came before.
      headers = [:]
    } else if let colon = line.firstIndex(of: ":") {
      let name = line[..<colon].lowercased()
      var value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
      // Servers echo what they do not like, and messages quote this header.
      if name == "x-error-message", let token = request.token { value = token.redact(value) }
      headers[name] = value
    }
    return bytes.count
  }

  /// Takes bytes of the body; anything but their count ends the transfer.
  private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let handle else { return 0 }
    let head = head ?? completedHead(handle)
    self.head = head
    // The text of a redirect or an error is of no use.
    guard head.status == 200 || head.status == 206 else { return bytes.count }
    window.bytes += bytes.count
    do throws(TransferFailure) {
      try checkCoding(head)
      try receiver(head, bytes)
      return bytes.count
    } catch {
      failure = error
      return 0
    }
  }

  /// Throws when the bytes are not those of the file: sizes, ranges and digests would be of something else.
  private func checkCoding(_ head: TransferHead) throws(TransferFailure) {
    guard head.status == 200 || head.status == 206, let coding = head["content-encoding"], !coding.isEmpty,
      coding.lowercased() != "identity"
    else { return }
    throw TransferFailure(
      "\(request.url.host) sends \(request.url.withoutQuery) with the Content-Encoding \(coding.prefix(40)), which was "
        + "not asked for")
  }

  private func completedHead(_ handle: UnsafeMutableRawPointer) -> TransferHead {
    var status = 0
    zooport_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    return TransferHead(status: status, headers: headers)
  }

  /// False ends the transfer.
  private func goesOn() -> Bool {
    if isCancelled() {
      failure = .cancelled
      return false
    }
    let time = ContinuousClock.now - window.start
    guard time >= limits.rateWindow else { return true }
    let isSlow = Double(window.bytes) < time / .seconds(1) * Double(limits.leastRate)
    window = (.now, 0)
    if isSlow {
      failure = TransferFailure(
        "\(request.url.host) sends less than \(limits.leastRate) bytes a second", mayPass: true, endsAttempt: true)
    }
    return !isSlow
  }
}
