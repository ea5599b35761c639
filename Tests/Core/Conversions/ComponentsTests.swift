import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Models that are a folder for each component in Hugging Face, from files to files.
@Suite struct ComponentsTests {
  private static let goldens = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/goldens/cs-2.10")

  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The recorded folders of a model, copied to where a test may change them.
  private func source(_ model: String = "llava") throws -> String {
    let copy = folder.file("source")
    try FileManager.default.copyItem(
      at: Self.goldens.appending(path: "\(model)/hf-to-cs-2.9-base/source"), to: URL(filePath: copy))
    return copy
  }

  private func convert(
    _ checkpoint: [String], config: String, model: String = "llava", from source: String = "hf",
    to target: String = "cs-2.9", into output: String = "out", options: ConversionOptions = ConversionOptions()
  ) throws -> ConversionResult {
    try Conversion.run(
      ConversionRequest(
        command: .convert, model: model, sourceFormat: source, targetFormat: target, config: config,
        checkpoint: checkpoint, outputDirectory: folder.file(output), options: options),
      monitor: UnattendedMonitor())
  }

  private func files(_ output: String) -> [String] {
    (FileManager.default.subpaths(atPath: folder.file(output)) ?? []).filter {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: folder.file("\(output)/\($0)"), isDirectory: &isFolder)
        && !isFolder.boolValue
    }.sorted()
  }

  /// Tensors of a checkpoint by key, whatever files it is in.
  private func tensors(_ path: String) throws -> [String: ReadTensor] {
    try CheckpointInput(paths: [path]).source.tensors()
  }

  // MARK: There and back

  @Test(arguments: [
    ("llava", ["image_model", "text_model"], OutputFormat.bin),
    ("mmsimple-llava", ["image_model", "text_model"], .bin),
    ("dragon", ["q_encoder", "ctx_encoder"], .bin), ("llava", ["image_model", "text_model"], .safetensors),
  ])
  func foldersComeBack(_ model: String, components: [String], format: OutputFormat) throws {
    let source = try source(model)
    var options = ConversionOptions()
    options.verify = true
    options.report = true
    let there = try convert([source], config: source, model: model, options: options)
    #expect(there.checkpoints == [folder.file("out/pytorch_model_to_cs-2.9.mdl")])
    #expect(there.configs == [folder.file("out/config_to_cs-2.9.yaml")])
    options.outputFormat = format
    let back = try convert(
      there.checkpoints, config: there.config, model: model, from: "cs-2.9", to: "hf", into: "back", options: options)
    #expect(back.checkpoints == components.map { folder.file("back/\($0)") })
    #expect(back.configs == components.map { folder.file("back/\($0)/config.json") })
    for component in components {
      let before = try tensors("\(source)/\(component)")
      let after = try tensors(folder.file("back/\(component)"))
      // Nothing reads the pooler, and the positions can be counted.
      let lost = model == "dragon" ? before.keys.filter { $0.hasPrefix("pooler") } : []
      #expect(Set(after.keys).subtracting(["embeddings.position_ids"]) == Set(before.keys).subtracting(lost))
      for (key, tensor) in before where after[key] != nil { #expect(after[key] == tensor, "\(key)") }
    }
    let base = format == .bin ? "pytorch_model" : "model"
    let ending = format == .bin ? "bin" : "safetensors"
    var expected = components.flatMap {
      ["\($0)/config.json", "\($0)/\(base)-00001-of-00001.\(ending)", "\($0)/\(base).\(ending).index.json"]
    }
    if model != "dragon" { expected.append("image_model/preprocessor_config.json") }
    expected.append("pytorch_model_to_cs-2.9_to_hf.report.json")
    #expect(files("back") == expected.sorted())
  }

  @Test func eachFolderIsAModelOfItsOwn() throws {
    let source = try source("llava")
    let there = try convert([source], config: source)
    let back = try convert(there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "back")
    // The image model is a CLIP tower; what remains is its projection.
    let image = try ConfigDocument.load(path: back.configs[0]).root
    #expect(image["model_type"] == "clip_vision_model")
    let keys = try tensors(back.checkpoints[0]).keys
    #expect(keys.allSatisfy { $0.hasPrefix("vision_model.") })
    let route = try Catalogue.route(model: "clip-vit", from: "hf", to: "cs-2.9")
    var options = Planner.Options()
    options.allowIncomplete = true
    let plan = try Planner.plan(
      config: image, checkpoint: CheckpointInput(paths: [back.checkpoints[0]]).source.tree, along: route,
      options: options)
    #expect(plan.tensors.count == keys.count)
  }

  @Test func eachComponentHasItsShards() throws {
    let source = try source()
    let there = try convert([source], config: source)
    var options = ConversionOptions()
    options.maxShardSize = 3_000
    options.verify = true
    let back = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "back", options: options)
    for (component, path) in zip(["image_model", "text_model"], back.checkpoints) {
      let shards = files("back").filter { $0.hasPrefix("\(component)/pytorch_model-") }
      #expect(shards.count > 1)
      let index = try ShardIndex.load(path: "\(path)/pytorch_model.bin.index.json")
      #expect(Set(index.shards) == Set(shards.map { String($0.dropFirst(component.count + 1)) }))
      #expect(index.weightMap.keys.allSatisfy { !$0.hasPrefix(component) })
      #expect(try tensors(path) == tensors("\(source)/\(component)"))
    }
    options.maxShardSize = 0
    let single = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "single", options: options)
    #expect(
      files("single") == [
        "image_model/config.json", "image_model/preprocessor_config.json", "image_model/pytorch_model.bin",
        "text_model/config.json", "text_model/pytorch_model.bin",
      ])
    #expect(try tensors(single.checkpoints[1]) == tensors("\(source)/text_model"))
  }

  @Test func paramsInTheTrainerLayoutConvert() throws {
    let source = try source()
    let there = try convert([source], config: source)
    let section = try ConfigDocument.load(path: there.config).root.section(at: "model")
    let trainer: ConfigObject = ["trainer": ["init": ["model": .object(section), "seed": 1], "fit": [:]]]
    let path = try folder.write(Array(JSONWriter.render(.object(trainer)).utf8), as: "trainer.yaml")
    let back = try convert(there.checkpoints, config: path, from: "cs-2.9", to: "hf", into: "back")
    #expect(try tensors(back.checkpoints[1]) == tensors("\(source)/text_model"))
  }

  @Test func takesOneConfigForBothAndComponentsByName() throws {
    let source = try source()
    let expected = try convert([source], config: source)
    // As a service has them: files of components anywhere.
    var request = ConversionRequest(
      command: .convert, model: "llava", sourceFormat: "hf", targetFormat: "cs-2.9", config: "",
      outputDirectory: folder.file("named"))
    request.components = ["text_model", "image_model"].map {
      ComponentInput($0, config: "\(source)/\($0)/config.json", checkpoint: ["\(source)/\($0)/pytorch_model.bin"])
    }
    let named = try Conversion.run(request, monitor: UnattendedMonitor())
    #expect(named.checkpoints == [folder.file("named/pytorch_model_to_cs-2.9.mdl")])
    #expect(try tensors(named.checkpoints[0]) == tensors(expected.checkpoints[0]))
    var both = ConfigObject()
    for part in ["image_model", "text_model"] {
      both[part] = .object(try ConfigDocument.load(path: "\(source)/\(part)/config.json").root)
    }
    let path = try folder.write(Array(JSONWriter.render(.object(both)).utf8), as: "both.json")
    let single = try convert([source], config: path, into: "single")
    #expect(single.configs == [folder.file("single/both_to_cs-2.9.yaml")])
    #expect(
      try ConfigDocument.load(path: single.config).root == ConfigDocument.load(path: expected.config).root)
    request.components.removeLast()
    #expect(
      conversionError { try Conversion.run(request, monitor: UnattendedMonitor()) }?.message.contains("'image_model'")
        ?? false)
  }

  // MARK: One checkpoint

  @Test func oneCheckpointOfTransformersComesBack() throws {
    let source = try source()
    let there = try convert([source], config: source)
    var options = ConversionOptions()
    options.oneCheckpoint = true
    options.verify = true
    let packed = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "one", options: options)
    let place = "pytorch_model_to_cs-2.9_to_hf"
    #expect(packed.checkpoints == [folder.file("one/\(place)")])
    #expect(
      files("one")
        == [
          "config.json", "preprocessor_config.json", "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json",
        ].map { "\(place)/\($0)" })
    let keys = Set(try tensors(packed.checkpoints[0]).keys)
    #expect(keys.contains("multi_modal_projector.linear_2.bias"))
    #expect(keys.contains("vision_tower.vision_model.post_layernorm.weight"))
    #expect(keys.contains("language_model.lm_head.weight"))
    // The folder is the whole request: it brings its own config.
    for model in ["llava", "auto"] {
      let again = try? convert(packed.checkpoints, config: packed.checkpoints[0], model: model, into: "again-\(model)")
      guard model == "llava" else {
        #expect(again == nil, "mmsimple-llava has the same files")
        continue
      }
      #expect(try tensors(try #require(again).checkpoints[0]) == tensors(there.checkpoints[0]))
    }
  }

  /// What a class of transformers since 4.52 has in memory.
  @Test func newerKeysOfOneCheckpointConvertAlike() throws {
    let source = try source()
    let there = try convert([source], config: source)
    var options = ConversionOptions()
    options.oneCheckpoint = true
    options.maxShardSize = 0
    let packed = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "one", options: options)
    let old = try CheckpointInput(paths: packed.checkpoints).source
    guard case .dictionary(let entries, _) = old.tree else { return }
    let renamed = entries.map { entry -> ObjectTree<TensorDescriptor>.Entry in
      var key = entry.key.description
      for (older, newer) in [
        ("language_model.model.", "model.language_model."), ("language_model.lm_head.", "lm_head."),
        ("vision_tower.", "model.vision_tower."), ("multi_modal_projector.", "model.multi_modal_projector."),
      ] where key.hasPrefix(older) {
        key = newer + key.dropFirst(older.count)
        break
      }
      return .init(.string(key), entry.value)
    }
    let config = try ConfigDocument.load(path: packed.config).root
    let route = try Catalogue.route(model: "llava", from: "hf", to: "cs-2.9", layout: .oneCheckpoint)
    let plan = try Planner.plan(config: config, checkpoint: .dictionary(renamed, ordered: true), along: route)
    #expect(Set(plan.keys) == Set(try tensors(there.checkpoints[0]).keys.map { String($0.dropFirst("model.".count)) }))
  }

  // MARK: What is missing

  /// A language model without a projector is where the training of LLaVA begins.
  @Test func aProjectorIsDrawnWhereThereIsNone() throws {
    let source = try source()
    func without(_ drop: (String) -> Bool) throws {
      let path = "\(source)/text_model/pytorch_model.bin"
      let input = try Checkpoint.open(path: path)
      guard case .dictionary(let entries, _) = input.tree else { return }
      var sample = Sample(tree: .none, contents: [])
      var kept: [ObjectTree<OutputTensor>.Entry] = []
      for entry in entries where !drop(entry.key.description) {
        guard case .tensor(let tensor) = entry.value else { continue }
        kept.append(
          .init(
            .string(entry.key.description),
            .tensor(OutputTensor(dtype: tensor.dtype, shape: tensor.shape, storage: sample.contents.count))))
        sample.contents.append(try input.elements(tensor))
      }
      sample.tree = .dictionary(kept, ordered: true)
      try sample.write(with: TorchZipWriter.self, to: path)
    }
    try without { $0.contains("mm_projector.2.bias") }
    let half = conversionError { try convert([source], config: source) }
    #expect(half?.kind == .stateDictMismatch)
    #expect(half?.message.contains("text_model.model.mm_projector.2.bias") ?? false)

    try without { $0.contains("mm_projector") }
    let first = try convert([source], config: source)
    let second = try convert([source], config: source, into: "second")
    let (drawn, again) = (try tensors(first.checkpoints[0]), try tensors(second.checkpoints[0]))
    #expect(first.warnings.count { $0.message.contains("drawn at random (uniform, fixed seed)") } == 4)
    for (layer, width) in [(0, 8), (1, 12)] {
      let key = "model.projector_image_model.ffn.\(layer).linear_layer"
      let weight = try #require(drawn["\(key).weight"])
      #expect(weight.shape == [12, width] && weight.dtype == .float32)
      #expect(drawn["\(key).bias"]?.shape == [12])
      let values = weight.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      let bound = 1 / Float(width).squareRoot()
      #expect(values.allSatisfy { abs($0) <= bound })
      #expect(Set(values).count > values.count / 2 && values.contains { abs($0) > bound / 2 })
      #expect(again["\(key).weight"] == weight)
    }
  }

  @Test(arguments: [
    ("image_model", "config.json", "image_model holds no config.json"),
    ("text_model", "pytorch_model.bin", "text_model holds no checkpoint"),
    ("text_model", nil, "has no component 'text_model': llava is made of 'image_model' and 'text_model'"),
  ])
  func whatIsMissingIsNamed(_ component: String, file: String?, message: String) throws {
    let source = try source()
    try FileManager.default.removeItem(atPath: "\(source)/\(component)" + (file.map { "/\($0)" } ?? ""))
    let error = try #require(conversionError { try convert([source], config: source) })
    #expect(error.kind == .unreadableInput)
    #expect(error.message.contains(message), "\(error.message)")
    #expect(files("out").isEmpty)
  }

  /// What a trainer put around the keys is said of each component.
  @Test func wrappersOfEveryComponentAreNamed() throws {
    let encoders = ["q_encoder", "ctx_encoder"]
    let keys = ["embeddings.word_embeddings.weight", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
    let inside = keys.enumerated().map { number, key in
      ObjectTree<TensorDescriptor>.Entry(
        .string("module.\(key)"), .tensor(TensorDescriptor(dtype: .float32, shape: [2], storage: StorageID(number))))
    }
    let tree = ObjectTree<TensorDescriptor>.dictionary(
      encoders.map { .init(.string($0), .dictionary(inside, ordered: true)) }, ordered: true)
    let route = try Catalogue.route(model: "dragon", from: "hf", to: "cs-2.9")
    let content = try CheckpointContent(tree, along: route, bareAllowed: false)
    #expect(content.wrapperWarnings.count == 2)
    #expect(content.wrapperWarnings.allSatisfy { $0.message.hasSuffix("'module.' (3 keys)") })
    #expect(Set(content.stateDict.values.keys) == Set(encoders.flatMap { part in keys.map { "\(part).\($0)" } }))
  }

  @Test func foldersThatAreNoComponentAreNamed() throws {
    let source = try source()
    try FileManager.default.createDirectory(atPath: "\(source)/logs", withIntermediateDirectories: false)
    _ = try convert([source], config: source)
    try FileManager.default.copyItem(atPath: "\(source)/text_model", toPath: "\(source)/text_encoder")
    let error = conversionError { try convert([source], config: source) }
    #expect(error?.kind == .unreadableInput)
    #expect(error?.message.contains("'text_encoder' is no component: llava is made of") ?? false)
    let other = conversionError { try convert([source], config: source, model: "dragon") }
    #expect(other?.message.contains("has no component 'q_encoder'") ?? false)
  }

  @Test func oneComponentAloneIsRefused() throws {
    let source = try source()
    let error = conversionError {
      try convert(["\(source)/text_model"], config: "\(source)/text_model/config.json")
    }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.message.contains("no component 'image_model'") ?? false)
    let config = conversionError { try convert([source], config: "\(source)/text_model/config.json") }
    #expect(config?.message.contains("no component 'image_model'") ?? false)
    let file = conversionError { try convert(["\(source)/text_model/pytorch_model.bin"], config: source) }
    #expect(file?.message.contains("The checkpoint has no component 'image_model'") ?? false)
  }

  @Test func aTensorOfAnotherShapeIsNamedWithItsComponent() throws {
    let source = try source()
    let path = "\(source)/image_model/config.json"
    var config = try ConfigDocument.load(path: path)
    config.root["intermediate_size"] = 15
    try Data(JSONWriter.render(.object(config.root)).utf8).write(to: URL(filePath: path))
    let error = conversionError { try convert([source], config: source) }
    #expect(error?.kind == .stateDictMismatch)
    #expect(
      error?.message.contains("image_model.vision_model.encoder.layers.0.mlp.fc1.weight has shape [14, 8]") ?? false)
    #expect(error?.message.contains("image_model.intermediate_size") ?? false)
  }

  // MARK: Detection, plans and reports

  @Test func detectionNamesBothModelsOfTheSameFolders() throws {
    let source = try source()
    let error = conversionError { try convert([source], config: source, model: "auto", from: "auto") }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("--model llava --src-fmt hf; --model mmsimple-llava --src-fmt hf") ?? false)
    let known = try convert([source], config: source, model: "mmsimple-llava", from: "auto")
    let back = try convert(known.checkpoints, config: known.config, model: "auto", from: "auto", to: "hf", into: "back")
    #expect(back.warnings.contains { $0.message.hasPrefix("Detected model mmsimple-llava") })
    #expect(back.checkpoints.count == 2)
  }

  @Test func detectionFindsTheOnlyModelOfItsFolders() throws {
    let source = try source("dragon")
    let result = try convert([source], config: source, model: "auto", from: "auto")
    #expect(result.warnings.contains { $0.message == "Detected model dragon, source format hf" })
  }

  @Test func plansAndReportsNameComponents() throws {
    let source = try source()
    var request = ConversionRequest(
      command: .convert, model: "llava", sourceFormat: "hf", targetFormat: "cs-2.9", config: source,
      checkpoint: [source])
    let plan = try PlanReport(request)
    #expect(plan.error == nil)
    #expect(
      plan.inputs.map(\.name) == [
        "image_model/pytorch_model.bin", "text_model/pytorch_model.bin", "image_model/config.json",
        "text_model/config.json",
      ])
    #expect(plan.tensors.contains { $0.sources == ["text_model.model.mm_projector.0.weight"] })
    request.checkpoint = []
    let described = try PlanReport(request)
    #expect(described.tensors.map(\.key).sorted() == plan.tensors.map(\.key).sorted())

    var options = ConversionOptions()
    options.report = true
    let there = try convert([source], config: source)
    let back = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "back", options: options)
    let report = try ConfigDocument.load(path: try #require(back.files.last?.path)).root
    func names(_ key: String, _ name: String) -> [String] {
      guard case .array(let items)? = report[key] else { return [] }
      return items.compactMap { item in
        if case .object(let object) = item, case .string(let text)? = object[name] { text } else { nil }
      }
    }
    #expect(
      Set(names("outputs", "name")).isSuperset(of: [
        "image_model/config.json", "image_model/preprocessor_config.json",
        "text_model/pytorch_model-00001-of-00001.bin",
      ]))
    #expect(
      Set(names("tensors", "file")) == [
        "image_model/pytorch_model-00001-of-00001.bin", "text_model/pytorch_model-00001-of-00001.bin",
      ])
    #expect(names("tensors", "key").contains("text_model.model.norm.weight"))
    // The config of a plan shows the components, too.
    let whole = try PlanReport(
      ConversionRequest(
        command: .convert, model: "llava", sourceFormat: "cs-2.9", targetFormat: "hf", config: there.config,
        checkpoint: there.checkpoints))
    #expect(whole.config.map { Array($0.keys) } == ["image_model", "text_model"])
  }

  @Test func aConfigAloneConverts() throws {
    let source = try source()
    func config(_ path: String, from source: String, to target: String, into output: String) throws -> ConversionResult
    {
      try Conversion.run(
        ConversionRequest(
          command: .convertConfig, model: "llava", sourceFormat: source, targetFormat: target, config: path,
          outputDirectory: folder.file(output)),
        monitor: UnattendedMonitor())
    }
    let there = try config(source, from: "hf", to: "cs-2.9", into: "out")
    #expect(there.configs == [folder.file("out/config_to_cs-2.9.yaml")] && there.checkpoints.isEmpty)
    let back = try config(there.config, from: "cs-2.9", to: "hf", into: "back")
    #expect(back.configs.count == 2)
    #expect(
      files("back") == ["image_model/config.json", "image_model/preprocessor_config.json", "text_model/config.json"])
  }

  @Test func precisionHoldsForAllComponents() throws {
    let source = try source()
    var options = ConversionOptions()
    let there = try convert([source], config: source)
    options.dtype = .bfloat16
    let back = try convert(
      there.checkpoints, config: there.config, from: "cs-2.9", to: "hf", into: "back", options: options)
    for path in back.checkpoints { #expect(try tensors(path).values.allSatisfy { $0.dtype == .bfloat16 }) }
  }
}
