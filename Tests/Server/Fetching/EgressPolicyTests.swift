import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Egress policy")
struct EgressPolicyTests {
  @Test(
    "Addresses that are not public are refused",
    arguments: [
      ("127.0.0.1", "loopback"), ("127.255.255.254", "loopback"), ("0.0.0.0", "unspecified"),
      ("0.1.2.3", "unspecified"),
      ("10.0.0.1", "private"), ("10.255.255.255", "private"), ("172.16.0.1", "private"), ("172.31.255.255", "private"),
      ("192.168.1.1", "private"), ("100.64.0.1", "shared"), ("169.254.169.254", "link-local"),
      ("224.0.0.1", "multicast"),
      ("239.255.255.255", "multicast"), ("240.0.0.1", "reserved"), ("255.255.255.255", "reserved"),
      ("192.0.0.1", "reserved"), ("192.0.2.1", "documentation"), ("198.18.0.1", "benchmarking"),
      ("::1", "loopback"), ("::", "unspecified"), ("fe80::1", "link-local"), ("fc00::1", "private"),
      ("fdff:ffff::1", "private"), ("ff02::1", "multicast"), ("fec0::1", "private"), ("2001:db8::1", "documentation"),
      ("::ffff:127.0.0.1", "loopback"), ("::ffff:7f00:1", "loopback"), ("::ffff:10.1.2.3", "private"),
      ("64:ff9b::127.0.0.1", "loopback"), ("64:ff9b::a00:1", "private"), ("2002:7f00:1::", "loopback"),
      ("2002:c0a8:101::1", "private"), ("::127.0.0.1", "reserved"), ("64:ff9b:1::1", "reserved"),
      ("100::1", "reserved"),
      ("4000::1", "reserved"),
    ])
  func refused(_ address: String, _ kind: String) throws {
    #expect(try EgressPolicy().refusal(of: #require(IPAddress(address)), host: "h") == kind)
  }

  @Test(
    "Public addresses are allowed",
    arguments: [
      "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "169.253.0.1", "11.0.0.0",
      "126.255.255.255", "128.0.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8",
      "::ffff:8.8.8.8", "2002:808:808::1",
    ])
  func allowed(_ address: String) throws {
    #expect(try EgressPolicy().refusal(of: #require(IPAddress(address)), host: "h") == nil)
  }

  @Test("Exceptions by block, by address and by host")
  func exceptions() throws {
    let policy = try EgressPolicy(allowing: ["10.1.0.0/16", "::1", "Hub.internal", "fd00::/8"])
    func isAllowed(_ address: String, _ host: String = "h") throws -> Bool {
      try policy.refusal(of: #require(IPAddress(address)), host: host) == nil
    }
    #expect(try isAllowed("10.1.255.255"))
    #expect(try isAllowed("::ffff:10.1.0.1"))
    #expect(try !isAllowed("10.2.0.0"))
    #expect(try isAllowed("::1"))
    #expect(try !isAllowed("127.0.0.1"))
    #expect(try isAllowed("192.168.0.9", "hub.INTERNAL"))
    #expect(try !isAllowed("192.168.0.9", "hub.internal.evil"))
    #expect(try isAllowed("fd12::3"))
    #expect(try isAllowed("64:ff9b::10.1.0.1"))
  }

  @Test(
    "Entries that mean nothing are refused",
    arguments: ["", "10.0.0.0/33", "300.1.1.1", "a b", "::1/129", "10.0.0.0/", "1.2.3"])
  func invalid(_ entry: String) {
    #expect(throws: EgressPolicy.Invalid.self) { _ = try EgressPolicy(allowing: [entry]) }
  }

  @Test("Blocks cut in the middle of a byte")
  func blocks() throws {
    let block = try #require(AddressBlock("192.168.160.0/19"))
    for (address, isInside) in [
      ("192.168.160.0", true), ("192.168.191.255", true), ("192.168.192.0", false), ("192.168.159.255", false),
    ] {
      #expect(try block.contains(#require(IPAddress(address))) == isInside)
    }
    #expect(block.description == "192.168.160.0/19")
  }
}
