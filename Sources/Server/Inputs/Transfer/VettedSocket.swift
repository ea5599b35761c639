import CCurl
import Core

/// The sockets of one request: opened after the egress policy has seen the address, and what it refused.
struct VettedSocket {
  /// Where the request may go; nil for anywhere, as for a client that its user runs.
  let policy: EgressPolicy?
  let host: String
  /// The last address that the policy refused, unless a later one of the host was allowed.
  private var refused: (address: IPAddress, kind: String)?

  init(policy: EgressPolicy?, host: String) {
    self.policy = policy
    self.host = host
  }

  /// For `CURLOPT_OPENSOCKETFUNCTION`: a socket, or -1 when the policy refuses its address.
  mutating func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    let length = Int(address.pointee.addrlen)
    let ip = withUnsafePointer(to: &address.pointee.addr) { IPAddress($0, length: length) }
    guard let ip else { return -1 }
    if let kind = policy?.refusal(of: ip, host: host) {
      // Another address of the same host may be public: libcurl goes on with the next one.
      refused = (ip, kind)
      return -1
    }
    refused = nil
    return socket(
      address.pointee.family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
  }

  /// Has a request trust the authorities of the policy and no others.
  func configureTrust(of options: inout CurlOptions) {
    guard let authorities = policy?.authorities else { return }
    options.set(CURLOPT_CAINFO, authorities)
    // Otherwise the folder of the system's authorities would be searched as well.
    options.set(CURLOPT_CAPATH, String?.none)
  }

  private var isOfService: Bool { policy?.isClient != true && policy?.isForTerminal != true }

  /// What names the file of authorities.
  private var authoritiesSetting: String {
    if policy?.isForTerminal == true { return "ZOOPORT_FETCH_CA_FILE" }
    return policy?.isClient == true ? "--ca-file" : "fetch-ca-file"
  }

  /// What a code of libcurl says about a request, called `what` in the message.
  func failure(for code: CURLcode, of what: String) -> TransferFailure {
    if code == CURLE_COULDNT_CONNECT, let refused {
      let found = "\(host) is at \(refused.address), a \(refused.kind) address"
      // What a name of the inner network stands for is for the operator's log, not for whoever sends jobs.
      var failure =
        policy?.isForTerminal == true
        ? TransferFailure("\(found), which is not connected to; set ZOOPORT_ALLOW_PRIVATE_FETCH to \(host) to allow it")
        : TransferFailure(
          ConversionError(
            .fetchFailed,
            "\(host) has no public address, and this service does not connect to others; an operator can allow it with "
              + "allow-private-fetch",
            cause: found))
      failure.isRefused = true
      return failure
    }
    let reason = String(cString: curl_easy_strerror(code))
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT, CURLE_GOT_NOTHING,
      CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_SSL_CONNECT_ERROR:
      return TransferFailure("\(what) \(host) failed: \(reason)", mayPass: true)
    case CURLE_PEER_FAILED_VERIFICATION:
      return TransferFailure(
        "\(what) \(host) failed: its certificate is not trusted. It is for another name, has expired, or comes from an "
          + "authority that "
          + (isOfService
            ? "this service does not know; an operator can name the authority with \(authoritiesSetting)"
            : "this machine does not know; name the authority with \(authoritiesSetting)"))
    case CURLE_SSL_CACERT_BADFILE:
      return TransferFailure(
        "\(what) \(host) failed: the file of \(authoritiesSetting) cannot be read any more", mayPass: true)
    default:
      return TransferFailure("\(what) \(host) failed: \(reason)")
    }
  }
}
