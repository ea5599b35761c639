import OrderedCollections
import Testing

@testable import Core

/// What is said of keys that no rule knows.
@Suite struct UnmatchedCausesTests {
  private func explanation(_ keys: [String], of count: Int? = nil, model: String = "gpt2") throws -> String? {
    let route = try Catalogue.route(model: model, from: "hf", to: "cs-1.8")
    return UnmatchedCauses(keys: keys, of: count ?? keys.count, along: route).explanation
  }

  @Test(arguments: [
    "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", "transformer.h.0.mlp.c_fc.lora_B.default.weight",
    "transformer.h.0.attn.c_attn.lora_magnitude_vector.default.weight",
  ])
  func adapters(_ key: String) throws {
    let alone = try #require(try explanation([key]))
    #expect(alone.contains("a LoRA adapter and not the model"))
    #expect(alone.contains("merge_and_unload"))
    #expect(alone.contains(key))
    let beside = try #require(try explanation([key], of: 40))
    #expect(beside.contains("not merged into the model"))
  }

  @Test func otherAdapters() throws {
    #expect(try explanation(["base_model.model.transformer.h.0.attn.ia3_l"])?.contains("adapter (PEFT)") == true)
  }

  @Test(arguments: [("v_head.summary.weight", "value head"), ("score.weight", "classification head")])
  func heads(_ key: String, _ name: String) throws {
    let said = try #require(try explanation([key], of: 30))
    #expect(said.contains(name))
    #expect(said.contains("--drop-unmatched-keys"))
    // Alone it is no head of this model.
    #expect(try explanation([key])?.contains(name) != true)
  }

  @Test func layouts() throws {
    let bare = ["embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"]
    let said = try #require(try explanation(bare, model: "bert"))
    #expect(said.contains("'bert.'"))
    #expect(said.contains("BertForPreTraining"))
    #expect(try explanation(["h.0.ln_1.bias", "wte.weight"])?.contains("--model gpt2-headless") == true)
    let strange = try #require(try explanation(["foo.lm_head.weight", "foo.transformer.wpe.weight"]))
    #expect(strange.contains("'foo.'"))
    #expect(try explanation(["a", "b"]) == nil)
    // One key among many is no other layout.
    #expect(try explanation(["h.0.ln_1.bias"], of: 100) == nil)
  }

  @Test func droppingEverythingFails() throws {
    var options = Planner.Options()
    options.dropUnmatchedKeys = true
    let config = try #require(SmallConfigs.config(of: "gpt2", family: "gpt2"))
    let checkpoint = MemoryCheckpoint(["x.lm_head.weight": [2, 2], "x.transformer.wpe.weight": [2, 2]], model: false)
    let error = try #require(
      conversionError { try planned("gpt2", from: "hf", to: "cs-1.8", config: config, checkpoint, options: options) })
    #expect(error.kind == .keysUnmatched)
    #expect(error.message.contains("nothing of the model"))
    #expect(error.message.contains("'x.'"))
  }

  @Test func theCauseComesFirst() throws {
    let config = try #require(SmallConfigs.config(of: "gpt2", family: "gpt2"))
    let checkpoint = MemoryCheckpoint(["transformer.h.0.attn.c_attn.lora_A.weight": [2, 2]], model: false)
    let error = try #require(
      conversionError { try planned("gpt2", from: "hf", to: "cs-1.8", config: config, checkpoint) })
    #expect(error.diagnostics.first?.subject == .conversion)
    #expect(error.diagnostics.first?.message.contains("LoRA") == true)
    #expect(error.diagnostics.contains { $0.message == "Key not matched: transformer.h.0.attn.c_attn.lora_A.weight" })
  }
}
