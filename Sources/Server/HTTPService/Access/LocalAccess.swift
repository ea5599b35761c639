import API
import HTTPTypes
import Hummingbird

/// Keeps the web out of a service that has no tokens and listens on loopback.
///
/// Every page that somebody on this machine opens can send requests to 127.0.0.1. One that names another host got here by a
/// name that leads to this machine (DNS rebinding), and one from another origin was sent by a page. What programs send has
/// neither mark.
struct LocalAccess: Sendable {
  /// The address that the operator gave.
  let host: String

  /// Nil where nothing is to be checked: on other addresses, and where everybody was let in by name.
  init?(host: String, allowsAnonymous: Bool) {
    guard Exposure.isLoopback(host), !allowsAnonymous else { return nil }
    self.host = host
  }

  /// Throws `Fault` 403 for a request that a page of another origin may have sent.
  func check(_ request: Request) throws {
    let authority = request.head.authority
    if let authority, !isLocal(authority) {
      throw Self.refused("\(authority) is not the name of this machine: use localhost or \(host)")
    }
    guard request.headers[.secFetchSite] != "cross-site" else { throw Self.refused("a page of another site asks") }
    guard let origin = request.headers[.origin] else { return }
    let parts = origin.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[1].isEmpty, parts[2].lowercased() == authority?.lowercased() else {
      throw Self.refused("a page of \(origin) asks")
    }
  }

  /// `localhost`, a loopback address or the host of the settings, each with or without a port.
  private func isLocal(_ authority: String) -> Bool {
    let name: Substring
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      name = authority[authority.index(after: authority.startIndex)..<end]
    } else {
      name = authority.prefix { $0 != ":" }
    }
    return Exposure.isLoopback(String(name)) || name.lowercased() == host.lowercased()
  }

  private static func refused(_ detail: String) -> Fault {
    Fault(
      .forbidden,
      "\(detail); without access tokens the service answers programs on this machine only. Make tokens with `zooport token "
        + "create`, or start it with --allow-anonymous")
  }
}

extension HTTPField.Name {
  /// Of Fetch Metadata. The literal is a valid field name.
  static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
}
