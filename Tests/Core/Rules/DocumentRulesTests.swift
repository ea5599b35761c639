import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Params documents from release to release: as recorded, and the laws that hold for every document.
@Suite struct DocumentRulesTests {
  @Test func casesExist() {
    #expect(RecordedDocument.all.count == 15)
  }

  @Test(arguments: RecordedDocument.all + RecordedDocument.shared)
  func convertsAsRecorded(_ recorded: RecordedDocument) throws {
    var document = try recorded.converted()
    // The model's own rules, not the document's, leave these out.
    for key in ["use_position_embedding", "alibi_implementation", "weight_initialization_seed"] {
      document[at: ["trainer", "init", "model", key]] = nil
    }
    let expected = try ConfigDocument.load(path: recorded.expected).root
    #expect(inKeyOrder(.object(document)) == inKeyOrder(.object(expected)))
  }

  @Test(arguments: RecordedDocument.all + RecordedDocument.shared)
  func aSecondTimeChangesNothing(_ recorded: RecordedDocument) throws {
    let source = try ConfigDocument.load(path: recorded.config).root
    let context = DocumentContext(modelName: recorded.model, start: .cs(recorded.source))
    for side in Side.allCases {
      let rules = ModelZooDocuments.rules(of: max(recorded.source, recorded.target))
      let once = try DocumentRules.apply(rules, to: source, from: side, context: context).document
      let twice = try DocumentRules.apply(rules, to: once, from: side, context: context).document
      #expect(once == twice)
    }
  }

  @Test(arguments: RecordedDocument.all + RecordedDocument.shared)
  func upAndDownGivesTheDocumentBack(_ recorded: RecordedDocument) throws {
    guard recorded.source == Release(2, 2), recorded.target == Release(2, 3) else { return }
    let source = try ConfigDocument.load(path: recorded.config).root
    let up = try RecordedDocument.converted(source, from: Release(2, 2), to: Release(2, 3))
    let down = try RecordedDocument.converted(up, from: Release(2, 3), to: Release(2, 2))
    // Whether a run trains is not part of the newer layout; schedulers get their full names.
    var expected = source
    expected[at: "runconfig.mode"] = nil
    #expect(inKeyOrder(.object(down)) == inKeyOrder(.object(expected)))
    let again = try RecordedDocument.converted(down, from: Release(2, 2), to: Release(2, 3))
    #expect(inKeyOrder(.object(again)) == inKeyOrder(.object(up)))
  }

  @Test(arguments: RecordedDocument.all + RecordedDocument.shared)
  func aLadderAndItsStepsAgree(_ recorded: RecordedDocument) throws {
    let source = try ConfigDocument.load(path: recorded.config).root
    let top = Release(2, 10)
    guard recorded.source < recorded.target else { return }
    let atOnce = try RecordedDocument.converted(source, from: recorded.source, to: top)
    let step = try RecordedDocument.converted(source, from: recorded.source, to: recorded.target)
    #expect(try RecordedDocument.converted(step, from: recorded.target, to: top) == atOnce)
  }

  private func up(_ document: ConfigObject, _ release: Release) throws -> ConfigObject {
    try RecordedDocument.converted(document, from: Release(2, release.minor - 1), to: release)
  }

  @Test func unknownSectionsAndKeysStay() throws {
    let mystery: ConfigValue = ["a": ["b": 1, "c": [nil, "x"]]]
    let source: ConfigObject = [
      "mystery": mystery, "model": ["hidden_size": 4, "odd": 1], "runconfig": ["num_csx": 1, "odd": ["x": 2]],
    ]
    let document = try RecordedDocument.converted(source, from: Release(2, 0), to: Release(2, 10))
    #expect(document["mystery"] == mystery)
    #expect(document["runconfig"] == ["odd": ["x": 2]])
    #expect(document[at: "trainer.init.model"] == ["hidden_size": 4, "odd": 1, "name": "gpt2"])
    #expect(document[at: "trainer.init.backend.cluster_config.num_csx"] == 1)
    let back = try RecordedDocument.converted(document, from: Release(2, 10), to: Release(2, 0))
    #expect(back["mystery"] == mystery)
    #expect(back["runconfig"].map(inKeyOrder) == ["num_csx": 1, "odd": ["x": 2]])
    #expect(back["trainer"] == nil)
  }

  @Test func warnsOfWhatStaysBehind() throws {
    let context = DocumentContext(modelName: "gpt2", start: .cs(Release(2, 2)))
    let outcome = try DocumentRules.apply(
      ModelZooDocuments.rules(of: Release(2, 3)), to: ["model": ["hidden_size": 4], "runconfig": ["odd": 1]],
      from: .older, context: context)
    #expect(outcome.warnings.map(\.message).filter { $0.contains("runconfig.odd") }.count == 1)
    #expect(outcome.warnings.first?.origin?.file.hasSuffix("ModelZoo23.swift") == true)
  }

  @Test func numbersKeepTheirText() throws {
    let text = "model:\n  hidden_size: 4\noptimizer:\n  optimizer_type: AdamW\n  weight_decay_rate: 1.0E-02\n"
    let source = try ConfigDocument.parse(Array(text.utf8), name: "params.yaml", syntax: .yaml).root
    let document = try RecordedDocument.converted(source, from: Release(2, 0), to: Release(2, 4))
    guard case .number(let decay) = document[at: "trainer.init.optimizer.AdamW.weight_decay"] else {
      Issue.record("no weight decay")
      return
    }
    #expect(decay.text == "1.0E-02")
  }

  @Test func listsThatTheRecordedToolLosesAreCarried() throws {
    let document = try up(
      [
        "model": ["hidden_size": 4],
        "runconfig": ["load_checkpoint_states": ["model", "dataloader"], "wsc_log_level": "DEBUG"],
        "wandb": ["tags": ["a"]],
      ], Release(2, 3))
    #expect(
      document[at: "trainer.init.callbacks"]
        == [["LoadCheckpointStates": ["load_checkpoint_states": ["model", "dataloader"]]]])
    #expect(document[at: "trainer.init.loggers"] == [["WandbLogger": ["tags": ["a"]]]])
    #expect(document[at: "trainer.init.logging.wsc_log_level"] == ["": "DEBUG"])
    #expect(document.count == 1)
  }

  @Test func switchesBecomeCallbacks() throws {
    let document = try up(
      ["model": ["hidden_size": 4], "runconfig": ["check_loss_values": true, "log_input_summaries": false]],
      Release(2, 3))
    #expect(document[at: "trainer.init.callbacks"] == [["LogInputSummaries": nil], ["CheckLoss": [:]]])
  }

  @Test func listenersBecomeCallbacksOfTheirOwn() throws {
    let document = try up(
      [
        "model": ["hidden_size": 4],
        "runconfig": ["experimental": ["listeners": [["listener_type": "Norms", "freq": 3]]]],
      ], Release(2, 3))
    #expect(document[at: "trainer.init.callbacks"] == [["Norms": ["freq": 3]]])
    #expect(document["runconfig"] == nil)
  }

  @Test func callbacksWithoutPlaceComeBack() throws {
    let callbacks: ConfigValue = [
      ["KeepNCheckpoints": ["n": 2]], ["GlobalFlags": ["csx.debug.ini": ["x": 1], "csx.other": 2]], ["Custom": [:]],
    ]
    let source: ConfigObject = ["trainer": ["init": ["model": ["hidden_size": 4], "callbacks": callbacks]]]
    let down = try RecordedDocument.converted(source, from: Release(2, 3), to: Release(2, 2))
    #expect(down["runconfig"].map(inKeyOrder) == ["ini": ["x": 1], "max_checkpoints": 2])
    #expect(down["model"] == ["hidden_size": 4])
    #expect(down[at: "trainer.init.callbacks"] == [["GlobalFlags": ["csx.other": 2]], ["Custom": [:]]])
    let up = try RecordedDocument.converted(down, from: Release(2, 2), to: Release(2, 3))
    guard case .array(let entries) = up[at: "trainer.init.callbacks"] else {
      Issue.record("no callbacks")
      return
    }
    #expect(
      Set(entries.map(inKeyOrder)) == [
        ["KeepNCheckpoints": ["n": 2]], ["GlobalFlags": ["csx.debug.ini": ["x": 1], "csx.other": 2]], ["Custom": [:]],
      ])
  }

  @Test func schedulersWithoutOlderFormStay() throws {
    let schedulers: ConfigValue = [
      ["SequentialLR": ["schedulers": [["LinearLR": ["total_iters": 1]]], "milestones": [1]]]
    ]
    let source: ConfigObject = ["trainer": ["init": ["model": ["hidden_size": 4], "schedulers": schedulers]]]
    let down = try RecordedDocument.converted(source, from: Release(2, 3), to: Release(2, 2))
    #expect(down[at: "trainer.init.schedulers"] == schedulers)
    let back = try RecordedDocument.converted(down, from: Release(2, 2), to: Release(2, 3))
    #expect(inKeyOrder(.object(back)) == inKeyOrder(.object(source)))
  }

  @Test func chainedSchedulersKeepTheirMain() throws {
    let document = try up(
      [
        "model": ["hidden_size": 4],
        "optimizer": [
          "optimizer_type": "SGD", "adjust_learning_rate": ["decoder_kernel": 0.5],
          "learning_rate": [
            ["scheduler": "linear", "main_scheduler": "Chained", "total_iters": 1],
            ["scheduler": "CosineAnnealingWarmRestarts", "T_0": 2],
          ],
        ],
      ], Release(2, 3))
    let chain: ConfigValue = [
      "ChainedScheduler": [
        "schedulers": [["LinearLR": ["total_iters": 1]], ["CosineAnnealingWarmRestarts": ["T_0": 2]]]
      ]
    ]
    #expect(document[at: "trainer.init.schedulers"] == [["ScalePerParamLR": ["scheduler": chain]]])
    #expect(document[at: "trainer.init.optimizer"] == ["SGD": ["adjust_learning_rate": ["decoder_kernel": 0.5]]])
  }

  @Test func refusesByKey() throws {
    func message(_ document: ConfigObject, _ release: Release) -> String {
      do {
        _ = try up(document, release)
        return "converted"
      } catch let error as ConversionError {
        return error.kind == .configNotConvertible ? error.message : "\(error.kind)"
      } catch { return "\(error)" }
    }
    let model: ConfigValue = ["hidden_size": 4]
    #expect(
      message(["model": model, "runconfig": ["use_cs_grad_accum": "yes"]], Release(2, 2))
        .contains("runconfig.use_cs_grad_accum is yes"))
    #expect(
      message(["model": model, "sparsity": ["sparsity_schedule": [1, 2]]], Release(2, 2)).contains("sparsity_schedule"))
    #expect(
      message(["model": model, "sparsity": ["param_name_patterns": 3]], Release(2, 2)).contains("param_name_patterns"))
    #expect(message(["model": ["output_logits_scale": 0.5]], Release(2, 3)).contains("incomplete muP"))
    #expect(
      message(["model": model, "optimizer": ["learning_rate": ["scheduler": "Odd"]]], Release(2, 3)).contains("Odd"))
    #expect(
      message(["model": model, "optimizer": ["learning_rate": "fast"]], Release(2, 3)).contains("learning_rate is fast")
    )
  }

  @Test func oldPrecisionStaysReadableOnTheWayDown() throws {
    let context = DocumentContext(modelName: "gpt2", start: .cs(Release(2, 1)))
    let source: ConfigObject = ["model": ["fp16_type": "bfloat16"]]
    let outcome = try DocumentRules.apply(
      ModelZooDocuments.rules(of: Release(2, 1)), to: source, from: .newer, context: context)
    #expect(outcome.document == source)
    #expect(outcome.warnings.contains { $0.subject == .config("model.fp16_type") })
  }

  @Test func retiredSettingsDependOnTheStart() throws {
    let source: ConfigObject = ["csconfig": ["a": 1], "runconfig": ["is_pretrained_checkpoint": true]]
    let converted: ConfigObject = ["runconfig": ["load_checkpoint_states": ["model", "dataloader"]]]
    for (start, expected) in [(Release(1, 8), source), (Release(1, 9), converted)] {
      let context = DocumentContext(modelName: "gpt2", start: .cs(start))
      #expect(
        try DocumentRules.apply(
          ModelZooDocuments.rules(of: Release(2, 0)), to: source, from: .older, context: context
        ).document == expected)
    }
  }

  @Test func aFileThatADocumentNamesIsNotRead() throws {
    let context = DocumentContext(modelName: "gpt2", start: .cs(Release(1, 9)))
    let outcome = try DocumentRules.apply(
      ModelZooDocuments.rules(of: Release(2, 0)),
      to: ["cerebras": ["save_iter_state_path": "/etc/passwd"], "model": [:]], from: .older, context: context)
    #expect(outcome.document == ["model": [:]])
    #expect(outcome.warnings.map(\.subject) == [.config("cerebras.save_iter_state_path")])
  }

  @Test(
    arguments: [
      (["sparsity": 0.3], ["type": "static", "sparsity": 0.3]),
      (
        ["algorithm": "rigl", "sparsity": 0.2, "update": ["freq": 7]],
        ["schedule": ["freq": 7], "sparsity": 0.2, "type": "rigl"]
      ),
    ] as [(ConfigObject, ConfigObject)])
  func sparsityGoesDown(_ newer: ConfigObject, _ older: ConfigObject) throws {
    let section: ConfigValue = newer.count == 1 ? newer["sparsity"] ?? .null : .object(newer)
    let down = try RecordedDocument.converted(
      ["model": [:], "sparsity": section], from: Release(2, 2), to: Release(2, 1))
    #expect(down["sparsity"].map(inKeyOrder) == inKeyOrder(.object(older)))
    #expect(try up(down, Release(2, 2))["sparsity"].map(inKeyOrder) == inKeyOrder(section))
  }
}

/// Where the model section stands.
@Suite struct ModelSectionTests {
  @Test func findsBothPlaces() throws {
    let section: ConfigObject = ["hidden_size": 4]
    let format = Format.cs(Release(2, 9))
    for document in [["model": .object(section)], ["trainer": ["init": ["model": .object(section)]]]] as [ConfigObject]
    {
      #expect(try ModelSection.find(in: document, format: format) == section)
      let replaced = ModelSection.replace(in: document, with: ["hidden_size": 8])
      #expect(try ModelSection.find(in: replaced, format: format) == ["hidden_size": 8])
      #expect(replaced.keys == document.keys)
    }
  }

  @Test func refusesSeveralTrainersAndNone() {
    let format = Format.cs(Release(2, 9))
    for document in [["trainer": [["trainer": [:]]]], ["trainer": ["init": [:]]], ["model": 3]] as [ConfigObject] {
      let error = #expect(throws: ConversionError.self) { try ModelSection.find(in: document, format: format) }
      #expect(error?.kind == .configNotConvertible)
    }
  }
}
