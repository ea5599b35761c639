import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Hub inputs of submissions")
struct HubSubmissionsTests {
  private func read(_ json: String) throws -> (HubInput, FileName)? {
    guard case .object(let members) = try JSONTree.parse(Data(json.utf8)) else { return nil }
    let hub = HubSubmissions(endpoint: try SourceURL("https://huggingface.co"), vault: SecretVault())
    return try hub.input(members)
  }

  @Test("References in every form")
  func forms() throws {
    for json in [
      #"{"hub": "owner/name", "revision": "v1"}"#, #"{"hub": "hub://owner/name@v1"}"#,
      #"{"hub": "https://huggingface.co/owner/name/tree/v1"}"#,
      #"{"url": "https://huggingface.co/owner/name/tree/v1"}"#,
    ] {
      let (input, name) = try #require(try read(json), "\(json)")
      #expect(input.reference.repository == "owner/name")
      #expect(input.reference.revision == "v1")
      #expect(name.description == "name")
      #expect(!input.carry && input.token == nil)
    }
    let (input, _) = try #require(
      try read(#"{"hub": "a/b", "subfolder": "s", "variant": "v", "files": ["x.bin"], "carry": true, "token": "t"}"#))
    #expect(input.reference.subfolder == "s" && input.reference.variant == "v" && input.reference.files == ["x.bin"])
    #expect(input.carry && input.token != nil)
  }

  @Test("The URL of a file of a model is a reference to it; any other file is downloaded as it is")
  func urls() throws {
    let (input, _) = try #require(
      try read(#"{"url": "https://huggingface.co/owner/name/resolve/main/a/x.bin?download=true"}"#))
    #expect(input.reference.repository == "owner/name" && input.reference.page == "a/x.bin")
    let (config, _) = try #require(try read(#"{"url": "https://hf.co/owner/name/blob/main/config_v2.json"}"#))
    #expect(config.reference.page == "config_v2.json")
    #expect(try read(#"{"url": "https://example.org/owner/name"}"#) == nil)
    #expect(try read(#"{"url": "https://huggingface.co/datasets/owner/name/resolve/main/x.bin"}"#) == nil)
    #expect(try read(#"{"upload": "x"}"#) == nil)
  }

  @Test("A page that is none of a model is refused, and asks for no config beside it")
  func otherPages() throws {
    let hub = HubSubmissions(endpoint: try SourceURL("https://huggingface.co"), vault: SecretVault())
    for (json, part) in [
      (#"{"url": "https://huggingface.co/datasets/x/y"}"#, "a dataset"),
      (#"{"hub": "https://huggingface.co/spaces/x/y"}"#, "a space"),
      (#"{"hub": "https://huggingface.co/datasets/x/y/resolve/main/z.bin"}"#, "no page of a model"),
    ] {
      let refused = #expect(throws: HubReference.Refused.self) { try read(json) }
      #expect(refused?.reason.contains(part) == true)
      #expect(hub.isReference(.json(try JSONTree.parse(Data(json.utf8)), text: "")))
    }
  }

  @Test("Members of a hub input beside a URL are told where they belong", arguments: ["carry", "token", "revision"])
  func besideURL(_ member: String) throws {
    let refused = #expect(throws: HubReference.Refused.self) {
      try read(#"{"url": "https://example.org/x.bin", "\#(member)": "x"}"#)
    }
    #expect(
      refused?.reason == "\(member) belongs to a hub input; write hub in place of url, or leave \(member) out")
    #expect(try read(#"{"url": "https://example.org/x.bin", "zork": 1}"#) == nil)
  }

  @Test(
    "Refused",
    arguments: [
      #"{"hub": 1}"#, #"{"hub": "a/b/c"}"#, #"{"hub": "https://example.org/a/b"}"#, #"{"hub": "a/b", "revision": 1}"#,
      #"{"hub": "a/b", "files": "x"}"#, #"{"hub": "a/b", "files": []}"#, #"{"hub": "a/b", "files": ["../x"]}"#,
      #"{"hub": "a/b", "carry": "yes"}"#, #"{"hub": "a/b", "token": ""}"#, #"{"hub": "a/b", "token": "a b"}"#,
      #"{"hub": "a/b", "zork": 1}"#, #"{"hub": "a/b", "subfolder": ".."}"#,
    ])
  func refused(_ json: String) { #expect(throws: HubReference.Refused.self) { try read(json) } }
}
