import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Choosing files of a repository")
struct HubSelectionTests {
  /// What was chosen.
  private struct Chosen {
    let config: String
    let checkpoint: [String]
    let carried: [String]
  }

  private func select(
    _ names: [String], subfolder: String? = nil, variant: String? = nil, files: [String]? = nil, page: String? = nil,
    as part: HubSelection.Part = .config
  ) throws -> Chosen {
    var reference = try HubReference(
      repository: "a/b", revision: "main", subfolder: subfolder, variant: variant, files: files)
    reference.page = page
    let selection = HubSelection(reference: reference, listing: names)
    return Chosen(
      config: try selection.config(part), checkpoint: try selection.checkpoint(), carried: selection.carried)
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

  @Test(
    "Weights of other frameworks and adapters are called that",
    arguments: [
      (["tf_model.h5"], "TensorFlow"), (["flax_model.msgpack"], "Flax"), (["a.gguf"], "GGUF"), (["model.onnx"], "ONNX"),
      (["adapter_model.safetensors", "adapter_config.json"], "merge_and_unload"),
      (["adapter_model.bin"], "merge_and_unload"),
      (["tf_model.h5", "flax_model.msgpack", "training_args.bin"], "TensorFlow"),
    ])
  func otherWeights(_ names: [String], _ word: String) {
    do {
      _ = try select(["config.json"] + names)
      Issue.record("a checkpoint was chosen")
    } catch {
      let error = error as? ConversionError
      #expect(error?.kind == .fileNotFound)
      #expect(error?.message.contains(word) == true)
      #expect(error?.message.contains("a/b") == true)
    }
  }

  @Test("Files beside the weights are no second checkpoint")
  func besideTheWeights() throws {
    let names = [
      "config.json", "weights.bin", "training_args.bin", "optimizer.pt", "tf_model.h5", "adapter_config.json",
    ]
    #expect(try select(names).checkpoint == ["weights.bin"])
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
    #expect(try select(names).carried == ["tokenizer.json", "merges.txt"])
    #expect(try select(["sub/config.json", "sub/a.bin"] + names, subfolder: "sub").carried.isEmpty)
  }

  @Test("A page means its file, and its repository where a checkpoint is wanted and the file is a text")
  func pages() throws {
    let names = ["config.json", "config_v2.json", "tokenizer.json", "model.safetensors", "other.bin", "README.md"]
    func chosen(_ page: String, as part: HubSelection.Part) throws -> [String] {
      let chosen = try select(names, page: page, as: part)
      return [chosen.config] + chosen.checkpoint
    }
    // Beside a checkpoint of the same page.
    #expect(try chosen("config_v2.json", as: .config) == ["config_v2.json", "model.safetensors"])
    #expect(try chosen("other.bin", as: .config) == ["config.json", "other.bin"])
    #expect(try chosen("README.md", as: .config) == ["config.json", "model.safetensors"])
    #expect(try chosen("tokenizer.json", as: .config) == ["config.json", "model.safetensors"])
    #expect(try chosen("weights", as: .config) == ["config.json", "weights"])
    // As the config itself: never silently another file.
    #expect(try chosen("config_v2.json", as: .namedConfig)[0] == "config_v2.json")
    #expect(try chosen("tokenizer.json", as: .namedConfig)[0] == "tokenizer.json")
    #expect(try chosen("other.bin", as: .namedConfig)[0] == "config.json")
    // What is named in files goes before the page.
    #expect(try select(names, files: ["other.bin"], page: "config_v2.json").config == "config.json")
  }

  @Test("A config of one's own needs none in the repository")
  func withoutConfig() throws {
    let selection = HubSelection(reference: try HubReference(repository: "a/b"), listing: ["model.safetensors"])
    #expect(try selection.checkpoint() == ["model.safetensors"])
  }

  @Test("What a mirror without a list is asked for, in order")
  func candidates() throws {
    var reference = try HubReference(
      repository: "a/b", revision: "main", subfolder: "s", variant: "fp16", files: nil)
    #expect(
      HubSelection.candidates(for: .config, of: reference) == ["s/config.json", "s/params.yaml", "s/config.yaml"])
    #expect(
      HubSelection.candidates(for: .checkpoint, of: reference) == [
        "s/model.fp16.safetensors", "s/model.safetensors.index.fp16.json", "s/pytorch_model.fp16.bin",
        "s/pytorch_model.bin.index.fp16.json",
      ])
    #expect(HubSelection.candidates(for: .companions, of: reference).contains("s/tokenizer.json"))
    reference.files = ["x.json", "y.bin"]
    #expect(HubSelection.candidates(for: .config, of: reference).isEmpty)
    #expect(HubSelection.candidates(for: .checkpoint, of: reference).isEmpty)
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
