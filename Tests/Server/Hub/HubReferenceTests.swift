import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Hub references")
struct HubReferenceTests {
  private static func parse(_ text: String) throws -> HubReference? {
    try HubReference.parse(text, endpoint: SourceURL("https://huggingface.co"))
  }

  @Test(
    "References and pages of a model",
    arguments: [
      ("hub://EleutherAI/gpt-j-6b", "EleutherAI/gpt-j-6b", "main", nil, nil),
      ("hub://gpt2", "gpt2", "main", nil, nil), ("hub://owner/name/", "owner/name", "main", nil, nil),
      ("HUB://owner/name/@v1", "owner/name", "v1", nil, nil),
      ("HTTPS://HUGGINGFACE.CO/owner/name/tree/dev", "owner/name", "dev", nil, nil),
      ("hub://owner/name@v1.0", "owner/name", "v1.0", nil, nil),
      ("hub://owner/name@refs/pr/3", "owner/name", "refs/pr/3", nil, nil),
      ("https://huggingface.co/owner/name", "owner/name", "main", nil, nil),
      ("https://huggingface.co/owner/name/", "owner/name", "main", nil, nil),
      ("https://HuggingFace.co/gpt2?library=true#x", "gpt2", "main", nil, nil),
      ("https://huggingface.co/owner/name/tree/dev", "owner/name", "dev", nil, nil),
      ("https://huggingface.co/owner/name/tree/dev/sub/folder", "owner/name", "dev", "sub/folder", nil),
      ("https://huggingface.co/owner/name/tree/refs/pr/1/sub", "owner/name", "refs/pr/1", "sub", nil),
      ("https://huggingface.co/owner/name/tree/refs%2Fpr%2F1", "owner/name", "refs/pr/1", nil, nil),
      ("https://huggingface.co/owner/name/blob/main/README.md", "owner/name", "main", nil, "README.md"),
      ("https://huggingface.co/owner/name/blob/main/config.json", "owner/name", "main", nil, "config.json"),
      ("https://huggingface.co/owner/name/blob/main/config.json?x=1#L3", "owner/name", "main", nil, "config.json"),
      ("https://huggingface.co/owner/name/raw/main/a/v2.json", "owner/name", "main", "a", "a/v2.json"),
      ("https://huggingface.co/owner/name/blob/refs/pr/1/v2.json", "owner/name", "refs/pr/1", nil, "v2.json"),
      ("https://huggingface.co/owner/name/blob/refs%2Fpr%2F1/v2.json", "owner/name", "refs/pr/1", nil, "v2.json"),
      ("https://huggingface.co/owner/name/blob/main/a%20b/v2.json", "owner/name", "main", "a b", "a b/v2.json"),
      (
        "https://huggingface.co/owner/name/blob/main/a/model.safetensors", "owner/name", "main", "a",
        "a/model.safetensors"
      ),
      (
        "https://huggingface.co/owner/name/resolve/main/pytorch_model.bin?download=true", "owner/name", "main", nil,
        "pytorch_model.bin"
      ),
      (
        "https://huggingface.co/gpt2/resolve/main/model.safetensors.index.json", "gpt2", "main", nil,
        "model.safetensors.index.json"
      ),
    ] as [(String, String, String, String?, String?)])
  func pages(_ text: String, _ repository: String, _ revision: String, _ subfolder: String?, _ file: String?) throws {
    let reference = try #require(try Self.parse(text))
    #expect(reference.repository == repository)
    #expect(reference.revision == revision)
    #expect(reference.subfolder == subfolder)
    #expect(reference.page == file)
    #expect(reference.files == nil)
  }

  @Test(
    "Pages of the public hub are those of a mirror; what else is at these hosts is not",
    arguments: [
      ("https://huggingface.co/owner/name/tree/dev", true), ("http://huggingface.co/owner/name/tree/dev", true),
      ("https://www.huggingface.co/owner/name/tree/dev", true), ("https://hf.co/owner/name/tree/dev", true),
      ("https://mirror.example:8443/hf/owner/name/tree/dev", true), ("https://hf.co:444/owner/name/tree/dev", false),
      ("https://mirror.example:8443/owner/name/tree/dev", false), ("https://xhf.co/owner/name/tree/dev", false),
      ("https://hf.co.example.org/owner/name/tree/dev", false),
    ])
  func aliases(_ text: String, _ isReference: Bool) throws {
    let reference = try HubReference.parse(text, endpoint: SourceURL("https://mirror.example:8443/hf/"))
    #expect((reference?.repository == "owner/name") == isReference)
    #expect((reference?.revision == "dev") == isReference)
  }

  @Test(
    "Pages of something else are refused by what they are",
    arguments: [
      ("datasets/a/b", "a dataset"), ("spaces/a/b/tree/main", "a space"), ("organizations/a", "an organisation"),
      ("docs/transformers", "documentation"), ("a/b/discussions/3", "no page of a model"), ("", "no page of a model"),
    ])
  func otherPages(_ path: String, _ part: String) {
    let refused = #expect(throws: HubReference.Refused.self) { try Self.parse("https://huggingface.co/\(path)") }
    #expect(refused?.reason.contains(part) == true)
    #expect(refused?.reason.contains("OWNER/NAME") == true)
  }

  @Test(
    "Other text is none",
    arguments: [
      "owner/name", "file.bin", "https://example.org/owner/name", "http://huggingface.co:8080/owner/name",
      "https://huggingface.co/datasets/a/b/resolve/main/x.bin",
    ])
  func others(_ text: String) throws { #expect(try Self.parse(text) == nil) }

  @Test(
    "Refused",
    arguments: [
      "hub://", "hub://a/b/c", "hub://../x", "hub://a/..", "hub://a/b@", "hub://a/b@../c", "hub://a b/c", "hub://-a/b",
      "hub://a/b--c", "hub://a/b@a//b", "https://huggingface.co/datasets/a/b", "https://huggingface.co/spaces/a/b",
      "https://huggingface.co/a/b/c/d", "https://huggingface.co/", "https://huggingface.co/a/b/tree/main/..%2F..%2Fx",
    ])
  func refused(_ text: String) {
    #expect(throws: HubReference.Refused.self) { try Self.parse(text) }
  }

  @Test("Paths, folders and variants lead nowhere else")
  func parts() {
    for (subfolder, variant, files) in [
      ("..", nil, nil), ("a//b", nil, nil), ("/a", nil, nil), (nil, "a/b", nil), (nil, "", nil), (nil, nil, []),
      (nil, nil, ["../x"]), (nil, nil, ["a\\b"]), (nil, nil, [""]), (nil, nil, ["a\u{0}"]),
    ] as [(String?, String?, [String]?)] {
      #expect(throws: HubReference.Refused.self) {
        try HubReference(repository: "a/b", revision: "main", subfolder: subfolder, variant: variant, files: files)
      }
    }
  }
}
