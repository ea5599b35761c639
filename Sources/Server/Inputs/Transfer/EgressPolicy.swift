/// Which addresses the service connects to on behalf of a client.
///
/// Decided on the address of the socket, after name resolution and before connecting, for each hop: no spelling of an
/// address and no name that is rebound gets round it. By default only addresses that are public according to the IANA
/// special-purpose registries are allowed.
package struct EgressPolicy: Sendable {
  /// A PEM file with the certificates of the authorities that servers are vouched for by; nil for those of the system.
  package var authorities: String?
  /// Everything is allowed, and messages speak of the options of a command.
  private(set) var isClient = false
  /// Messages speak of variables: who runs a command has its environment, and no operator to ask.
  package var isForTerminal = false
  private var blocks: [AddressBlock] = []
  private var hosts: Set<String> = []

  /// A policy without exceptions.
  package init() {}

  /// A policy with exceptions: CIDR blocks, addresses, or host names whose every address is allowed.
  /// Throws `Invalid` for an entry that is none of these.
  package init(allowing entries: [String]) throws(Invalid) {
    for entry in entries {
      if let block = AddressBlock(entry) {
        blocks.append(block)
      } else if Self.isHostName(entry) {
        hosts.insert(entry.lowercased())
      } else {
        throw Invalid(entry: entry)
      }
    }
  }

  /// The policy with one more host whose every address is allowed.
  func allowing(host: String) -> EgressPolicy {
    var policy = self
    policy.hosts.insert(host.lowercased())
    return policy
  }

  /// The policy of a command: its user may go anywhere. `authorities` is a PEM file, or nil for those of the system.
  package static func client(trusting authorities: String?) -> EgressPolicy {
    var policy = EgressPolicy()
    policy.authorities = authorities
    policy.isClient = true
    return policy
  }

  /// An entry that is no block, address or host name.
  package struct Invalid: Error { package let entry: String }

  /// Nil when a connection is allowed, otherwise what kind of address it is.
  package func refusal(of address: IPAddress, host: String) -> String? {
    if isClient || hosts.contains(host.lowercased()) || blocks.contains(where: { $0.contains(address) }) { return nil }
    if let inner = address.embeddedV4 { return refusal(of: inner, host: host) }
    if let special = Self.special.first(where: { $0.block.contains(address) }) { return special.name }
    return address.isV4 || Self.globalUnicast.contains(address) ? nil : "reserved"
  }

  private static func isHostName(_ text: String) -> Bool {
    // All digits and dots would be a mistyped address.
    (1...253).contains(text.utf8.count) && !text.allSatisfy { $0.isNumber || $0 == "." }
      && text.utf8.allSatisfy {
        ($0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z")) || $0 == UInt8(ascii: "-")
          || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
      }
  }

  private static let globalUnicast = AddressBlock("2000::/3")!

  /// IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890 and its updates.
  private static let special: [(name: String, block: AddressBlock)] = [
    ("unspecified", "0.0.0.0/8"), ("private", "10.0.0.0/8"), ("shared", "100.64.0.0/10"), ("loopback", "127.0.0.0/8"),
    ("link-local", "169.254.0.0/16"), ("private", "172.16.0.0/12"), ("reserved", "192.0.0.0/24"),
    ("documentation", "192.0.2.0/24"), ("reserved", "192.88.99.0/24"), ("private", "192.168.0.0/16"),
    ("benchmarking", "198.18.0.0/15"), ("documentation", "198.51.100.0/24"), ("documentation", "203.0.113.0/24"),
    ("multicast", "224.0.0.0/4"), ("reserved", "240.0.0.0/4"),
    ("unspecified", "::/128"), ("loopback", "::1/128"), ("reserved", "2001::/23"), ("documentation", "2001:db8::/32"),
    ("documentation", "3fff::/20"), ("private", "fc00::/7"), ("link-local", "fe80::/10"), ("private", "fec0::/10"),
    ("multicast", "ff00::/8"),
  ].map { ($0.0, AddressBlock($0.1)!) }
}
