import Testing

@testable import Core

/// Everyday values beside the weights that are no plain data.
@Suite struct PickleObjectsTests {
  private func text(_ value: String) -> [UInt8] { Array(value.utf8) }
  private func string(_ value: String) -> [UInt8] { text("X") + [UInt8(value.utf8.count), 0, 0, 0] + text(value) }
  private func global(_ name: String) -> [UInt8] { text("c\(name)\n") }

  /// A dictionary with one entry.
  private func entry(_ key: String, _ value: [UInt8]) -> [UInt8] { text("}") + string(key) + value + text("s.") }

  private func machine(_ pickle: [UInt8]) -> PickleMachine<PickleMachineTests.OneStorage> {
    PickleMachine(
      input: PickleInput(bytes: pickle, name: "t.pkl"), resolver: PickleMachineTests.OneStorage(), limits: .standard)
  }

  private func read(_ pickle: [UInt8]) throws -> (tree: PickleTree, objects: [PickledObject]) {
    var machine = machine(pickle)
    return (try machine.tree(), machine.objects)
  }

  private func refusal(_ pickle: [UInt8]) -> ConversionError? { conversionError { try read(pickle) } }

  /// `Class()` with attributes.
  private func instance(_ name: String, _ state: [UInt8]) -> [UInt8] {
    global(name) + [0x29, 0x81] + state + text("b")
  }

  @Test(arguments: ["argparse\nNamespace", "types\nSimpleNamespace", "__main__\nArgs", "my.train\nConfig.Inner"])
  func attributesAreReadAsPlainValues(_ name: String) throws {
    let (tree, objects) = try read(entry("args", instance(name, text("}") + string("lr") + text("K\u{1}s"))))
    #expect(tree["args"] == .dictionary([.init(.string("lr"), .int(1))], ordered: false))
    #expect(objects == [PickledObject(className: name.replacing("\n", with: "."), key: "args")])
    let warning = try #require(Diagnostic.plainObjects(objects, in: "x.bin"))
    #expect(warning.message.contains("at 'args'"))
    #expect(Diagnostic.plainObjects([], in: "x.bin") == nil)
  }

  @Test func argumentsStandForAnObjectWithoutAttributes() throws {
    let one = try read(entry("e", global("my\nKind") + string("steps") + [0x85] + text("R")))
    #expect(one.tree["e"] == .string("steps"))
    let path = try read(
      entry("p", global("pathlib\nPosixPath") + string("/") + string("a") + string("b") + [0x87] + text("R")))
    #expect(path.tree["p"] == .string("/a/b"))
    let named = try read(entry("class", global("torch.optim.adamw\nAdamW")))
    #expect(named.tree["class"] == .string("torch.optim.adamw.AdamW"))
    // A class that derives from dict.
    let mapping = try read(entry("d", global("my\nDict") + [0x29, 0x81] + string("k") + text("K\u{2}s")))
    #expect(mapping.tree["d"] == .dictionary([.init(.string("k"), .int(2))], ordered: false))
  }

  @Test(arguments: [
    "os\nsystem", "posix\nsystem", "subprocess\nPopen", "builtins\neval", "builtins\nException", "_io\nFileIO",
    "my\nfunction",
    "runpy\nRunner", "torch._utils\n_rebuild_other", "my\n_Private", "my\nA.b", "my\nA b",
  ])
  func everythingElseStaysRefused(_ name: String) {
    let error = refusal(entry("args", instance(name, text("}"))))
    #expect(error?.kind == .hostileInput)
    #expect(error?.message.contains("refuses the global") == true)
    #expect(error?.message.contains("'args'") == true)
  }

  @Test func wholeModelsAreCalledThat() {
    let state = text("}") + string("_parameters") + text("}s") + string("_modules") + text("}s")
    for pickle in [
      instance("__main__\nNet", state) + text("."), entry("model", instance("__main__\nNet", state)),
      instance("torch.nn.modules.linear\nLinear", state) + text("."),
      instance("transformers.models.gpt2.modeling_gpt2\nGPT2LMHeadModel", text("}")) + text("."),
    ] {
      let error = refusal(pickle)
      #expect(error?.kind == .unreadableInput)
      #expect(error?.message.contains("model.state_dict()") == true)
    }
  }

  @Test(arguments: [
    ("torch._utils\n_rebuild_meta_tensor_no_storage", "meta device"),
    ("torch._utils\n_rebuild_sparse_tensor", "sparse"),
    ("torch._utils\n_rebuild_qtensor", "quantised"), ("torch._utils\n_rebuild_wrapper_subclass", "DTensor"),
    ("torch.distributed.tensor\nDTensor", "full_tensor"), ("torch._utils\n_rebuild_nested_tensor", "nested"),
    ("torch.distributed._shard.sharded_tensor.api\nShardedTensor", "full_tensor"),
  ])
  func tensorsWithoutPlainBytesAreNamed(_ name: String, _ word: String) {
    let error = refusal(entry("h.0.weight", global(name) + text("(tR")))
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("'h.0.weight'") == true)
    #expect(error?.message.contains(word) == true)
  }

  // MARK: Arguments of tensors

  /// A float32 tensor of two elements; `extras` follow its strides.
  private func tensor(_ extras: [UInt8], function: String = "_rebuild_tensor_v2") -> [UInt8] {
    let storage =
      text("(") + string("storage") + global("torch\nFloatStorage") + string("0") + string("cpu") + text("K\u{2}tQ")
    return global("torch._utils\n\(function)") + text("(") + storage + text("K\u{0}K\u{2}") + [0x85] + text("K\u{1}")
      + [0x85]
      + extras + text("tR")
  }

  private let plain: [UInt8] = [0x89] + Array("}".utf8)

  @Test func emptyExtrasAreRead() throws {
    let flag = text("}") + string("neg") + [0x89] + text("s")
    for extras in [plain, plain + text("N"), plain + text("}"), plain + flag] {
      guard case .tensor(let read)? = try read(entry("w", tensor(extras))).tree["w"] else {
        Issue.record("no tensor")
        continue
      }
      #expect(read.shape == [2])
    }
  }

  @Test(arguments: [("neg", "resolve_neg"), ("conj", "resolve_conj"), ("other", "'other'")])
  func metadataIsRefusedByName(_ name: String, _ word: String) {
    let metadata = text("}") + string(name) + [0x88] + text("s")
    let error = refusal(entry("h.weight", tensor(plain + metadata)))
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("'h.weight'") == true)
    #expect(error?.message.contains(word) == true)
  }

  @Test func hooksAndSpareArgumentsAreRefused() {
    let hooks = [0x89] + text("}K\u{0}Ns")
    #expect(refusal(entry("w", tensor(hooks)))?.message.contains("hooks") == true)
    #expect(refusal(entry("w", tensor(plain + text("NN"))))?.kind == .hostileInput)
    #expect(refusal(entry("w", tensor(plain, function: "_rebuild_tensor")))?.kind == .hostileInput)
    #expect(refusal(entry("w", tensor(plain + text("K\u{1}"))))?.kind == .hostileInput)
  }

  @Test func tensorsOfDevicesAreTheirBytes() throws {
    func moved(_ dtype: String) -> [UInt8] {
      global("torch._utils\n_rebuild_device_tensor_from_cpu_tensor") + text("(") + tensor(plain)
        + global("torch\n\(dtype)")
        + string("hpu:0") + [0x89] + text("tR")
    }
    guard case .tensor(let read)? = try read(entry("w", moved("float32"))).tree["w"] else {
      Issue.record("no tensor")
      return
    }
    #expect(read.dtype == .float32)
    #expect(refusal(entry("w", moved("bfloat16")))?.message.contains("'w' was saved as float32") == true)
  }
}
