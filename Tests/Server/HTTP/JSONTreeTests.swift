import Foundation
import HTTPTypes
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("JSON bodies")
struct JSONTreeTests {
  @Test("Values come out as they are, whatever the number")
  func values() throws {
    let tree = try JSONTree.parse(Data(#"{"a":[1,-2.5e1,1e999,null,true,"\u0061"],"b":{}}"#.utf8))
    guard case .object(let members) = tree, case .array(let items) = members["a"] else {
      Issue.record("\(tree)")
      return
    }
    #expect(members.count == 2)
    #expect(
      items.map { "\($0)" } == ["number(1.0)", "number(-25.0)", "number(inf)", "null", "bool(true)", #"string("a")"#])
  }

  @Test(
    "What two readers could understand differently is malformed",
    arguments: [
      Data(#"{"a":1,"a":2}"#.utf8), Data(#"{"config":{"inline":{}},"\u0063onfig":{"inline":{"x":1}}}"#.utf8),
      Data(#"{"a":{"inline":{},"inline":{}}}"#.utf8), Data("{\"a\":\"\u{FE}\"}".unicodeScalars.map { UInt8($0.value) }),
      "{}".data(using: .utf16)!, "{}".data(using: .utf16LittleEndian)!, "{}".data(using: .utf32BigEndian)!,
      Data("{}x".utf8), Data("".utf8), Data("{'a':1}".utf8), Data("{\"a\":01}".utf8),
      Data(String(repeating: "[", count: 100_000).utf8),
    ])
  func malformed(_ data: Data) throws {
    let fault = #expect(throws: Fault.self) { try JSONTree.parse(data) }
    #expect(fault?.code == .malformedRequest)
  }

  @Test("A megabyte of small values takes less than a second")
  func speed() throws {
    let text = "[" + Array(repeating: #"{"a":"b","c":[1,2.5,true]}"#, count: 40_000).joined(separator: ",") + "]"
    let start = ContinuousClock.now
    _ = try JSONTree.parse(Data(text.utf8))
    #expect(ContinuousClock.now - start < .seconds(5))
  }
}
