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
    defer { handles.give(taken) }
    handle = taken.pointer
    defer { handle = nil }
    var list: UnsafeMutablePointer<curl_slist>?
    for line in request.headerLines { list = curl_slist_append(list, line) }
    defer { curl_slist_free_all(list) }
    configure(taken.pointer, headers: list)

    let code = curl_easy_perform(taken.pointer)
    if let failure { throw failure }
    guard code == CURLE_OK else { throw socket.failure(for: code, of: "the download from") }
    let head = completedHead(taken.pointer)
    var location: UnsafeMutablePointer<CChar>?
    zooport_curl_get_string(taken.pointer, CURLINFO_REDIRECT_URL, &location)
    guard (300..<400).contains(head.status), let location else { return (head, nil) }
    return (head, String(cString: location))
  }

  private func configure(_ handle: UnsafeMutableRawPointer, headers: UnsafeMutablePointer<curl_slist>?) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    zooport_curl_set_string(handle, CURLOPT_URL, request.url.text)
    zooport_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    zooport_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    zooport_curl_set_long(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS)
    zooport_curl_set_string(handle, CURLOPT_USERAGENT, "zooport")
    zooport_curl_set_list(handle, CURLOPT_HTTPHEADER, headers)
    if request.method == .head { zooport_curl_set_long(handle, CURLOPT_NOBODY, 1) }
    // No proxy and no .netrc from the environment: the vetted address must be the server's own.
    zooport_curl_set_string(handle, CURLOPT_PROXY, "")
    zooport_curl_set_long(handle, CURLOPT_NETRC, 0)
    zooport_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    zooport_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, limits.connectSeconds)
    zooport_curl_set_long(handle, CURLOPT_TIMEOUT, limits.totalSeconds)
    zooport_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1024)
    zooport_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, limits.stallSeconds)
    zooport_curl_set_long(handle, CURLOPT_BUFFERSIZE, 256 << 10)

    zooport_curl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    zooport_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      guard let bytes, let context else { return 0 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
        .receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
    }
    zooport_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    zooport_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let bytes, let context else { return 0 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
        .receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
    }
    zooport_curl_set_long(handle, CURLOPT_NOPROGRESS, 0)
    zooport_curl_set_pointer(handle, CURLOPT_XFERINFODATA, context)
    zooport_curl_set_progress(handle) { context, _, _, _, _ in
      guard let context else { return 1 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().goesOn() ? 0 : 1
    }
    socket.configureTrust(of: handle)
    zooport_curl_set_pointer(handle, CURLOPT_OPENSOCKETDATA, context)
    zooport_curl_set_open_socket(handle) { context, _, address in
      guard let context, let address else { return -1 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().socket.open(address)
    }
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
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
        in: .whitespacesAndNewlines)
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
    do throws(TransferFailure) {
      try receiver(head, bytes)
      return bytes.count
    } catch {
      failure = error
      return 0
    }
  }

  private func completedHead(_ handle: UnsafeMutableRawPointer) -> TransferHead {
    var status = 0
    zooport_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    return TransferHead(status: status, headers: headers)
  }

  /// False ends the transfer.
  private func goesOn() -> Bool {
    guard isCancelled() else { return true }
    failure = .cancelled
    return false
  }
}
