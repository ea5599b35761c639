package import Foundation

/// An IPv4 or IPv6 address as 16 bytes; IPv4 is kept in its mapped form (::ffff:a.b.c.d).
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// Network order.
  package let bytes: [UInt8]

  private static let mappedPrefix: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF]

  private init(bytes: [UInt8]) { self.bytes = bytes }

  /// An IPv4 address from its four bytes.
  package init(v4: some Collection<UInt8>) { bytes = Self.mappedPrefix + v4 }

  /// Reads the canonical spellings, `a.b.c.d` in decimal and RFC 4291; nil for host names and for `0x7f.1` and the like.
  package init?(_ text: some StringProtocol) {
    let text = String(text)
    var v4 = in_addr()
    var v6 = in6_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      self.init(v4: withUnsafeBytes(of: v4) { Array($0) })
    } else if inet_pton(AF_INET6, text, &v6) == 1 {
      self.init(bytes: withUnsafeBytes(of: v6) { Array($0) })
    } else {
      return nil
    }
  }

  /// The address of a socket; nil for other families.
  package init?(_ address: UnsafePointer<sockaddr>, length: Int) {
    let raw = UnsafeRawPointer(address)
    switch Int32(address.pointee.sa_family) {
    case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
      self.init(v4: withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in.self).sin_addr) { Array($0) })
    case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
      self.init(bytes: withUnsafeBytes(of: raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr) { Array($0) })
    default:
      return nil
    }
  }

  package var isV4: Bool { bytes.starts(with: Self.mappedPrefix) }

  /// The IPv4 address inside an IPv6 form that a gateway would turn into it: NAT64 (RFC 6052), 6to4 (RFC 3056).
  var embeddedV4: IPAddress? {
    if AddressBlock.nat64.contains(self) { return IPAddress(v4: bytes[12...]) }
    if AddressBlock.sixToFour.contains(self) { return IPAddress(v4: bytes[2..<6]) }
    return nil
  }

  package var description: String {
    if isV4 { return bytes[12...].map(String.init).joined(separator: ".") }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    _ = bytes.withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &text, socklen_t(INET6_ADDRSTRLEN)) }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// A CIDR block.
package struct AddressBlock: Hashable, Sendable, CustomStringConvertible {
  private let network: IPAddress
  /// Of the 128 bits.
  private let prefix: Int

  /// Reads `10.0.0.0/8`, `fd00::/8`, or a single address; nil for anything else.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let first = parts.first, parts.count <= 2, let network = IPAddress(first) else { return nil }
    let width = network.isV4 && !first.contains(":") ? 32 : 128
    guard let length = parts.count == 2 ? Int(parts[1]) : width, (0...width).contains(length) else { return nil }
    self.network = network
    prefix = length + (128 - width)
  }

  package func contains(_ address: IPAddress) -> Bool {
    let whole = prefix / 8
    guard network.bytes[..<whole] == address.bytes[..<whole] else { return false }
    guard prefix % 8 > 0 else { return true }
    let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (prefix % 8))
    return network.bytes[whole] & mask == address.bytes[whole] & mask
  }

  package var description: String { "\(network)/\(network.isV4 ? prefix - 96 : prefix)" }

  fileprivate static let nat64 = AddressBlock("64:ff9b::/96")!
  fileprivate static let sixToFour = AddressBlock("2002::/16")!
}
