import Inputs

/// Who can reach an address.
package enum Exposure {
  /// Only this machine can reach the address.
  package static func isLoopback(_ host: String) -> Bool {
    if host.lowercased() == "localhost" { return true }
    guard let address = IPAddress(host) else { return false }
    return ["127.0.0.0/8", "::1/128"].contains { AddressBlock($0)?.contains(address) == true }
  }
}
