import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("File names and path segments")
struct FileNameTests {
  @Test(
    "Harmless names stay as they are",
    arguments: ["a", "config.json", "pytorch_model-00001-of-00002.bin", "模型.bin", "a b%20c"])
  func accepted(_ name: String) {
    #expect(FileName(name)?.description == name)
  }

  @Test(
    "Everything that is more than a name is refused",
    arguments: [
      "", ".", "..", ".hidden", "a/b", "/etc/passwd", "..\\x", "a\0b", "a\nb", "a\u{7F}", "a\u{202E}b",
      String(repeating: "a", count: 181), String(repeating: "é", count: 91),
    ])
  func refused(_ name: String) {
    #expect(FileName(name) == nil)
  }

  @Test("The name of an output may be longer than that of an input, by what is added to it")
  func outputs() throws {
    let stem = String(repeating: "a", count: 176)
    for suffix in ["_to_cs-1.8-00001-of-00400.safetensors", "_to_hf.safetensors.index.json", "_to_cs-1.8.report.json"] {
      let name = stem + suffix
      #expect(FileName(name) == nil)
      #expect(FileName.output(name)?.description == name)
      #expect(try JSONDecoder().decode([FileName].self, from: JSONEncoder().encode([name])).first?.description == name)
    }
    #expect(FileName.output(String(repeating: "a", count: 255)) != nil)
    for name in [String(repeating: "a", count: 256), ".x", ""] { #expect(FileName.output(name) == nil) }
  }

  @Test("The file of a component has one folder and no way out of it")
  func components() throws {
    let name = try #require(FileName.output("image_model/config a.json"))
    #expect((name.component, name.file) == ("image_model", "config a.json"))
    #expect(name.description == "image_model/config a.json")
    #expect(name.path == "image_model/config%20a.json")
    #expect(FileName("x")?.inside("a").description == "a/x")
    #expect(FileName.output("a")?.component == nil)
    // A file that is saved has no folder.
    #expect(name.contentDisposition == "attachment; filename=\"config a.json\"; filename*=UTF-8''config%20a.json")
    for name in ["/b", "a/", "a//b", "a/b/c", "../b", "a/..", "a/.b", ".a/b", "a\\b", "a/b\\c", "a\0/b", "/"] {
      #expect(FileName.output(name) == nil, "\(name)")
      #expect(ComponentNames.upload(name) == nil, "\(name)")
    }
    #expect(ComponentNames.upload("text_model/config.json")?.component == "text_model")
    #expect(ComponentNames.upload("config.json")?.description == "config.json")
    for name in ["other/config.json", "Text_Model/config.json", "text_model/" + String(repeating: "a", count: 181)] {
      #expect(ComponentNames.upload(name) == nil, "\(name)")
    }
  }

  @Test("Content-Disposition cannot be broken out of")
  func contentDisposition() {
    #expect(
      FileName("a\"; x=\"é%.bin")?.contentDisposition
        == "attachment; filename=\"a_; x=___.bin\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%A9%25.bin")
  }

  @Test(
    "Percent-decoding",
    arguments: [
      ("a%20b", "a b"), ("%e6%A8%A1", "模"), ("%2e%2E", ".."), ("a+b", "a+b"), ("%", nil), ("%2", nil), ("%zz", nil),
      ("%ff", nil), ("%c0%af", nil),
    ] as [(String, String?)])
  func decoding(_ segment: String, _ expected: String?) {
    #expect(PercentEncoding.decode(segment) == expected)
  }

  @Test("Encoding is undone by decoding", arguments: ["a b", "ä/ö?#%", "\0\n", "😀"])
  func roundTrip(_ text: String) {
    #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
  }

  @Test("Ids sort by time, differ, and are refused when misspelt")
  func identifiers() {
    let early = Identifier.generate(at: Timestamp(milliseconds: 1_000_000_000_000))
    let late = Identifier.generate(at: Timestamp(milliseconds: 1_000_000_000_001))
    #expect(early.description < late.description)
    #expect(Set((0..<1000).map { _ in Identifier.generate() }).count == 1000)
    #expect(Identifier(early.description) == early)
    #expect(Identifier.generate(at: Timestamp(milliseconds: 33)).description.prefix(10) == "0000000011")
    for text in [
      "", "x", early.description.uppercased(), early.description + "0", "../../../../../../../../etc",
      "01m8576e21ps549exz8eg1wei!",
    ] {
      #expect(Identifier(text) == nil)
    }
  }

  @Test("Both halves of the random part of an id vary")
  func randomness() {
    let now = Timestamp.now
    let ids = (0..<200).map { _ in Array(Identifier.generate(at: now).description) }
    for position in 10..<26 {
      #expect(Set(ids.map { $0[position] }).count > 10, "position \(position)")
    }
  }
}
