import Testing

@testable import Core
@testable import Server

@Suite("Choosing files of a repository")
struct HubSelectionTests {
  private func select(
    _ names: [String], subfolder: String? = nil, variant: String? = nil, files: [String]? = nil, carry: Bool = false
  ) throws -> HubSelection {
    try HubSelection(
      HubReference(repository: "a/b", revision: "main", subfolder: subfolder, variant: variant, files: files),
      among: names, needsCheckpoint: true, carry: carry)
  }

  @Test(
    "By what is there",
    arguments: [
      (["config.json", "pytorch_model.bin", "model.safetensors"], "model.safetensors"),
      (["config.json", "pytorch_model.bin", "model.safetensors.index.json"], "model.safetensors.index.json"),
      (["config.json", "model.safetensors", "model.safetensors.index.json"], "model.safetensors"),
      (["config.json", "pytorch_model.bin", "pytorch_model.bin.index.json"], "pytorch_model.bin"),
      (
        ["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"],
        "pytorch_model.bin.index.json"
      ),
      (["config.json", "weights.mdl", "README.md"], "weights.mdl"),
    ])
  func order(_ names: [String], _ expected: String) throws {
    let selection = try select(names)
    #expect(selection.checkpoint == [expected])
    #expect(selection.config == "config.json")
  }

  @Test("Folders, variants and names")
  func narrowed() throws {
    let names = [
      "config.json", "model.safetensors", "model.fp16.safetensors", "sub/config.json", "sub/model.safetensors",
      "pytorch_model.bin.index.bf16.json",
    ]
    #expect(try select(names, subfolder: "sub").config == "sub/config.json")
    #expect(try select(names, subfolder: "sub").checkpoint == ["sub/model.safetensors"])
    #expect(try select(names, variant: "fp16").checkpoint == ["model.fp16.safetensors"])
    #expect(try select(names, variant: "bf16").checkpoint == ["pytorch_model.bin.index.bf16.json"])
    #expect(try select(names, files: ["x/other.bin"]).checkpoint == ["x/other.bin"])
    #expect(try select(names, files: ["other.bin", "sub/config.json"]).config == "sub/config.json")
    #expect(HubSelection.localName("sub/pytorch_model.bin.index.bf16.json") == "pytorch_model.bf16.bin.index.json")
    #expect(HubSelection.localName("model.safetensors.index.json") == "model.safetensors.index.json")
    #expect(HubSelection.localName("a/b/model.fp16.safetensors") == "model.fp16.safetensors")
  }

  @Test("Companions are carried on request, from the same folder")
  func carried() throws {
    let names = ["config.json", "model.safetensors", "tokenizer.json", "merges.txt", "x/vocab.json", "README.md"]
    #expect(try select(names, carry: true).carried == ["tokenizer.json", "merges.txt"])
    #expect(try select(names).carried.isEmpty)
  }

  @Test(
    "What cannot be chosen is said",
    arguments: [
      (["model.safetensors"], ErrorKind.fileNotFound, "config.json"),
      (["config.json"], .fileNotFound, "model.safetensors"),
      (["config.json", "a.bin", "b.bin"], .usage, "a.bin, b.bin"),
    ])
  func nothing(_ names: [String], _ kind: ErrorKind, _ part: String) throws {
    let error = #expect(throws: ConversionError.self) { try select(names) }
    #expect(error?.kind == kind)
    #expect(error?.message.contains(part) == true)
    #expect(throws: ConversionError.self) { try select(["config.json", "model.safetensors"], variant: "fp16") }
  }
}
