import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Slices of JSON")
struct JSONSlicesTests {
  @Test(
    "Members come out byte for byte",
    arguments: [
      (#"{"a": 1e-6 , "b":{"z":1,"a":[2,{"b":3}]}}"#, "a", "1e-6"),
      (#"{"a": 1e-6 , "b":{"z":1,"a":[2,{"b":3}]}}"#, "b", #"{"z":1,"a":[2,{"b":3}]}"#),
      (#" { "x" : "}\"]{" , "y" : [1.50, "\\"] } "#, "y", #"[1.50, "\\"]"#),
      (#"{"x":"a","x":"b"}"#, "x", #""b""#), (#"{"\u0061":null}"#, "a", "null"), ("{}", "a", nil),
      (#"{"x":{"a":1}}"#, "a", nil), (#"{"x":"a","b":"x"}"#, "a", nil), ("{\"a\"\r\n:\r\n true\r\n}", "a", "true"),
    ] as [(String, String, String?)])
  func members(_ text: String, _ name: String, _ expected: String?) {
    #expect(JSONSlices.member(name, of: text[...]).map(String.init) == expected)
  }

  @Test(
    "Elements of an array as they are written",
    arguments: [
      ("[]", []), ("[ 1e0 , {\"a\": [1.50, \"],\\\"\"]} ]", ["1e0", "{\"a\": [1.50, \"],\\\"\"]}"]),
      (" [[1,2],\n\"a,b\"] ", ["[1,2]", "\"a,b\""]),
    ] as [(String, [String])])
  func elements(_ text: String, _ expected: [String]) {
    #expect(JSONSlices.elements(of: text[...]).map(String.init) == expected)
  }
}
