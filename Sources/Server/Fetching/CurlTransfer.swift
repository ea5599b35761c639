import CCurl
import Core
import Foundation
import SystemPackage

/// One request over libcurl, its answer written to a file. Used once, on one thread.
final class CurlTransfer {
  private let url: SourceURL
  private let path: FilePath
  private let policy: EgressPolicy
  private let limits: Fetcher.Limits
  private let isCancelled: @Sendable () -> Bool
  private let progress: @Sendable (Int, Int) -> Void

  private var file: FileDescriptor?
  private var written = 0
  /// Set by a callback that ended the transfer; more telling than libcurl's own code.
  private var failure: TransferFailure?
  private var handle: OpaquePointer?

  /// Once per process, before the first handle, as libcurl demands.
  private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  init(
    url: SourceURL, path: FilePath, policy: EgressPolicy, limits: Fetcher.Limits,
    isCancelled: @escaping @Sendable () -> Bool, progress: @escaping @Sendable (Int, Int) -> Void
  ) {
    self.url = url
    self.path = path
    self.policy = policy
    self.limits = limits
    self.isCancelled = isCancelled
    self.progress = progress
  }

  /// Runs the request. Answers where a redirect leads, or nil when the file is complete and synced.
  func perform() throws(TransferFailure) -> String? {
    guard Self.isReady, let handle = curl_easy_init() else {
      throw TransferFailure(ConversionError(.internal, "libcurl cannot be started"))
    }
    self.handle = OpaquePointer(handle)
    defer { curl_easy_cleanup(handle) }
    do {
      file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerReadWrite, .groupRead])
    } catch {
      throw TransferFailure(Self.writeError(error))
    }
    defer { try? file?.close() }
    configure(handle)

    let code = curl_easy_perform(handle)
    if let failure { throw failure }
    guard code == CURLE_OK else { throw self.failure(for: code) }
    var status = 0
    zooport_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    var location: UnsafeMutablePointer<CChar>?
    zooport_curl_get_string(handle, CURLINFO_REDIRECT_URL, &location)
    if (300..<400).contains(status), let location { return String(cString: location) }
    guard status == 200 else { throw self.failure(forStatus: status, handle) }
    if let file, fsync(file.rawValue) != 0 { throw TransferFailure(Self.writeError(Errno(rawValue: errno))) }
    return nil
  }

  private func configure(_ handle: UnsafeMutableRawPointer) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    zooport_curl_set_string(handle, CURLOPT_URL, url.text)
    zooport_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    zooport_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    zooport_curl_set_string(handle, CURLOPT_USERAGENT, "zooport")
    // No proxy and no .netrc from the environment: the vetted address must be the server's own.
    zooport_curl_set_string(handle, CURLOPT_PROXY, "")
    zooport_curl_set_long(handle, CURLOPT_NETRC, 0)
    zooport_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    zooport_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, limits.connectSeconds)
    zooport_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1024)
    zooport_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, limits.stallSeconds)
    zooport_curl_set_long(handle, CURLOPT_BUFFERSIZE, 256 << 10)

    zooport_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    zooport_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let bytes, let context else { return 0 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
        .receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
    }
    zooport_curl_set_long(handle, CURLOPT_NOPROGRESS, 0)
    zooport_curl_set_pointer(handle, CURLOPT_XFERINFODATA, context)
    zooport_curl_set_progress(handle) { context, total, _, _, _ in
      guard let context else { return 1 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().observe(total: Int(total)) ? 0 : 1
    }
    zooport_curl_set_pointer(handle, CURLOPT_OPENSOCKETDATA, context)
    zooport_curl_set_open_socket(handle) { context, _, address in
      guard let context, let address else { return -1 }
      return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().openSocket(address)
    }
  }

  /// Takes bytes of the body; anything but their count ends the transfer.
  private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    var status = 0
    if let handle { zooport_curl_get_long(UnsafeMutableRawPointer(handle), CURLINFO_RESPONSE_CODE, &status) }
    // The text of a redirect or an error is of no use and must not end up in the file.
    guard status == 200 else { return bytes.count }
    // MAXFILESIZE of libcurl trusts the announced length; a chunked body announces none.
    guard bytes.count <= limits.bytes - written else {
      failure = TransferFailure(
        "the file from \(url.host) has more than \(limits.bytes) bytes, the limit of the service")
      return 0
    }
    do {
      guard let file else { return 0 }
      try file.writeAll(bytes)
      written += bytes.count
      return bytes.count
    } catch {
      failure = TransferFailure(Self.writeError(error))
      return 0
    }
  }

  /// Passes progress on; false ends the transfer.
  private func observe(total: Int) -> Bool {
    guard !isCancelled() else {
      failure = TransferFailure(ConversionError(.cancelled, "cancelled"))
      return false
    }
    if total > limits.bytes {
      failure = TransferFailure(
        "the file from \(url.host) has \(total) bytes; the limit of the service is \(limits.bytes)")
      return false
    }
    if written > 0 { progress(written, total) }
    return true
  }

  /// Opens a socket unless the policy refuses its address.
  private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    let length = Int(address.pointee.addrlen)
    let ip = withUnsafePointer(to: &address.pointee.addr) { IPAddress($0, length: length) }
    guard let ip else { return -1 }
    if let kind = policy.refusal(of: ip, host: url.host) {
      // Another address of the same host may be public: libcurl goes on with the next one.
      refused = (ip, kind)
      return -1
    }
    refused = nil
    return socket(
      address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
  }

  /// The last address that the policy refused.
  private var refused: (address: IPAddress, kind: String)?

  private func failure(for code: CURLcode) -> TransferFailure {
    if code == CURLE_COULDNT_CONNECT, let refused {
      return TransferFailure(
        "\(url.host) is at \(refused.address), a \(refused.kind) address, which this service does not fetch from; an "
          + "operator can allow it")
    }
    let reason = String(cString: curl_easy_strerror(code))
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING,
      CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_SSL_CONNECT_ERROR:
      return TransferFailure("the download from \(url.host) failed: \(reason)", mayPass: true)
    default:
      return TransferFailure("the download from \(url.host) failed: \(reason)")
    }
  }

  private func failure(forStatus status: Int, _ handle: UnsafeMutableRawPointer) -> TransferFailure {
    var retryAfter: curl_off_t = 0
    zooport_curl_get_offset(handle, CURLINFO_RETRY_AFTER, &retryAfter)
    return TransferFailure(
      "\(url.host) answered \(status) for \(url.withoutQuery)",
      mayPass: status == 408 || status == 429 || (500...599).contains(status) && status != 501,
      retryAfter: retryAfter > 0 ? .seconds(retryAfter) : nil)
  }

  private static func writeError(_ error: any Error) -> ConversionError {
    if let code = error as? Errno, code == .noSpace || code == .diskQuotaExceeded {
      return ConversionError(.diskFull, "no space is left for the download")
    }
    return ConversionError(.outputFailed, "the download cannot be stored", cause: "\(error)")
  }
}
