import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Byte ranges")
struct ByteRangeTests {
  @Test(
    "RFC 9110 by table, for a file of 100 bytes",
    arguments: [
      (nil, .whole),
      ("bytes=0-0", .part(0..<1)), ("bytes=0-99", .part(0..<100)), ("bytes=10-19", .part(10..<20)),
      ("bytes=90-", .part(90..<100)), ("bytes=0-", .part(0..<100)), ("bytes=-1", .part(99..<100)),
      ("bytes=-100", .part(0..<100)), ("bytes=-1000", .part(0..<100)), ("bytes=99-1000", .part(99..<100)),
      ("Bytes=0-1", .part(0..<2)), ("bytes= 0-1 ", .part(0..<2)),
      ("bytes=0-99999999999999999999999", .part(0..<100)),
      ("bytes=100-", .unsatisfiable), ("bytes=100-200", .unsatisfiable), ("bytes=-0", .unsatisfiable),
      ("bytes=99999999999999999999999-", .unsatisfiable),
      ("bytes=2-1", .whole), ("bytes=", .whole), ("bytes=-", .whole), ("bytes=a-b", .whole), ("bytes=1-2-3", .whole),
      ("bytes=0-1,3-4", .whole), ("items=0-1", .whole), ("bytes", .whole), ("", .whole), ("bytes=+1-2", .whole),
      ("bytes=0x1-2", .whole), ("bytes=--1", .whole),
    ] as [(String?, ByteRange)])
  func table(_ header: String?, _ expected: ByteRange) {
    #expect(ByteRange(header, size: 100) == expected)
  }

  @Test("Nothing of an empty file can be asked for", arguments: ["bytes=0-", "bytes=-1", "bytes=0-0"])
  func emptyFile(_ header: String) {
    #expect(ByteRange(header, size: 0) == .unsatisfiable)
  }

  @Test("A range holds for the very tag only")
  func ifRange() {
    let tag = EntityTag(sha256: "ab")
    #expect(tag.allowsRange(ifRange: nil))
    #expect(tag.allowsRange(ifRange: "\"ab\""))
    #expect(!tag.allowsRange(ifRange: "W/\"ab\""))
    #expect(!tag.allowsRange(ifRange: "Wed, 21 Oct 2015 07:28:00 GMT"))
  }

  @Test(
    "If-None-Match",
    arguments: [
      (nil, false), ("\"ab\"", true), ("W/\"ab\"", true), ("*", true), ("\"x\", \"ab\"", true), ("\"x\"", false),
      ("ab", false),
    ] as [(String?, Bool)])
  func ifNoneMatch(_ header: String?, _ matches: Bool) {
    #expect(EntityTag(sha256: "ab").matchesAny(of: header) == matches)
  }
}
