import Synchronization
import Testing

@testable import Core

@Suite struct MemoryAccountTests {
  private func limits(_ bytes: Int) -> (Limits, MemoryAccount) {
    let account = MemoryAccount(budget: bytes - MemoryAccount.allowance)
    var limits = Limits.standard
    limits.memory = account
    return (limits, account)
  }

  @Test func refusesMoreThanTheLimitAndSaysWhatToDo() throws {
    let account = MemoryAccount(budget: 1 << 20)
    #expect(account.limit == 1 << 20 + MemoryAccount.allowance)
    try account.take(account.limit)
    let error = try #require(conversionError { try account.take(1) })
    #expect(error.kind == .unreadableInput)
    #expect(error.message.contains("larger --memory-budget"))
    account.release(10)
    try account.take(10)
    #expect(account.used == account.limit)
  }

  @Test func asksForMoreInStepsAndTakesNoForAnAnswer() throws {
    let asked = Mutex<[Int]>([])
    let account = MemoryAccount(budget: 100 << 20, granted: 16 << 20) { bytes in
      asked.withLock {
        $0.append(bytes)
        return $0.count < 3
      }
    }
    try account.take(16 << 20)
    #expect(asked.withLock { $0 } == [])
    try account.take(1)
    try account.take(20 << 20)
    #expect(asked.withLock { $0 } == [16 << 20, 16 << 20])
    let error = try #require(conversionError { try account.take(64 << 20) })
    #expect(error.kind == .internal && error.mayPass == true)
    #expect(account.used == 36 << 20 + 1)
  }

  /// One byte of a pickle makes a node of many; what the machine told is given back at its end.
  @Test func picklesAreCounted() throws {
    let (limits, account) = limits(8 << 20)
    let bytes: [UInt8] =
      [0x80, 2] + Array("](".utf8) + Array(repeating: UInt8(ascii: "}"), count: 200_000) + Array("e.".utf8)
    #expect(try #require(conversionError { try ParserProbe.pickle(bytes, limits: limits) }).kind == .unreadableInput)
    #expect(account.used == 0)
    let few: [UInt8] =
      [0x80, 2] + Array("](".utf8) + Array(repeating: UInt8(ascii: "}"), count: 10_000) + Array("e.".utf8)
    _ = try ParserProbe.pickle(few, limits: limits)
    #expect(account.used == 0)
  }

  @Test func configsAreCounted() throws {
    let (limits, _) = limits(8 << 20)
    let json = Array("[\(Array(repeating: "1", count: 60_000).joined(separator: ","))]".utf8)
    #expect(
      try #require(conversionError { try JSONReader.parse(json, name: "x", limits: limits) }).kind == .unreadableInput)
    let (again, _) = self.limits(8 << 20)
    #expect(
      try #require(conversionError { try YAMLReader.parse(json, name: "x", limits: again) }).kind == .unreadableInput)
  }

  @Test func headersAreCounted() throws {
    let (limits, _) = limits(8 << 20)
    let entries = (0..<40_000).map { #""t\#($0)":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"# }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    var files = InputFiles()
    files.bring(InputFile(path: "x", bytes: MemoryBytes(length + header)), as: "x")
    let error = try #require(conversionError { try Checkpoint.open(path: "x", limits: limits, files: files) })
    #expect(error.kind == .unreadableInput)
  }
}
