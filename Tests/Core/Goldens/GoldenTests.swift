import Foundation
import OrderedCollections
import Testing

@testable import Core

/// The main case of every model and pair, against what the vendor's tool wrote: the same names, shapes, bits and values.
@Suite struct GoldenTests {
  @Test func everyModelHasCases() {
    #expect(GoldenCase.all.count == 127)
    let models = Set(GoldenCase.all.compactMap { Catalogue.model(named: $0.model)?.name })
    let old = Catalogue.models.filter { $0.releases.contains(Release(1, 7)) }.map(\.name)
    #expect(
      models.isSuperset(
        of: old + [
          "dragon", "gemma2", "llava", "mmsimple-llava", "llama", "llama-headless", "mistral", "mistral-headless",
          "mixtral",
        ]))
    for family in Catalogue.all { #expect(family.models.contains { models.contains($0.name) }, "\(family.name)") }
  }

  @Test(arguments: GoldenCase.all) func convertsAsRecorded(_ golden: GoldenCase) throws {
    let folder = try TemporaryFolder()
    let request = ConversionRequest(
      command: .convert, model: golden.model, sourceFormat: golden.source, targetFormat: golden.target,
      config: golden.config, checkpoint: [golden.checkpoint], outputDirectory: folder.path)
    let result = try Conversion.run(request, monitor: UnattendedMonitor())
    #expect(Set(result.configs).isSubset(of: golden.expectedConfigs.map { golden.output($0, in: folder) }))
    for path in golden.expectedConfigs {
      try compareConfigs(golden, path, written: golden.output(path, in: folder))
    }
    for path in golden.expectedCheckpoints {
      // The expected tensors may lie in the source of another case, as they were recorded once.
      let isElsewhere = path.hasPrefix("../")
      let checkpoint = isElsewhere ? try #require(result.checkpoint) : golden.output(path, in: folder)
      if !path.hasPrefix("expected/") { #expect(result.checkpoint == checkpoint) }
      try compareCheckpoints(golden, path, written: checkpoint)
    }
  }

  private func compareConfigs(_ golden: GoldenCase, _ path: String, written: String) throws {
    var expectedConfig = try ConfigDocument.load(path: golden.folder.appending(path: path).path)
    for (path, value) in golden.corrections {
      // What is corrected in the config of one component is not in that of another.
      if golden.expectedConfigs.count > 1, expectedConfig.root.value(at: path) == nil { continue }
      if value == .null {
        expectedConfig.root.removeValue(at: path)
      } else {
        expectedConfig.root.setValue(value, at: path)
      }
    }
    var config = try ConfigDocument.load(path: written).root
    // Written on top of what the tool writes, so that transformers finds the class.
    for key in ["architectures", "model_type"] where expectedConfig.root[key] == nil { config[key] = nil }
    #expect(sorted(.object(config)) == sorted(.object(expectedConfig.root)))
  }

  private func compareCheckpoints(_ golden: GoldenCase, _ path: String, written: String) throws {
    let expected = try Checkpoint.open(path: golden.folder.appending(path: path).path)
    let written = try Checkpoint.open(path: written)
    let expectedLeaves = leaves(expected.tree)
    let writtenLeaves = leaves(written.tree)
    #expect(Set(writtenLeaves.keys) == Set(expectedLeaves.keys))
    for (key, leaf) in expectedLeaves {
      guard case .tensor(let tensor) = leaf else {
        #expect(writtenLeaves[key] == leaf, "\(key)")
        continue
      }
      guard case .tensor(let other)? = writtenLeaves[key] else {
        Issue.record("\(key) is no tensor")
        continue
      }
      #expect(other.dtype == tensor.dtype && other.shape == tensor.shape, "\(key)")
      if golden.randomKeys.contains(key) { continue }
      let (wanted, got) = (try expected.elements(tensor), try written.elements(other))
      if golden.isRounded(key) {
        #expect(largestDistance(wanted, got) <= 1, "\(key)")
      } else {
        #expect(wanted == got, "\(key)")
      }
    }
  }

  /// The value with the keys of every mapping in alphabetical order: the tool sorts them, we keep the source's order.
  private func sorted(_ value: ConfigValue) -> ConfigValue {
    switch value {
    case .object(let object):
      var result = ConfigObject()
      for key in object.keys.sorted() { result[key] = object[key].map(sorted) }
      return .object(result)
    case .array(let values): return .array(values.map(sorted))
    default: return value
    }
  }

  private func leaves(_ tree: ObjectTree<TensorDescriptor>) -> [String: ObjectTree<TensorDescriptor>] {
    var leaves: [String: ObjectTree<TensorDescriptor>] = [:]
    // What the tool notes of the conversion itself does not count.
    tree.forEachLeaf { if !$0.hasPrefix("__metadata__") { leaves[$0] = $1 } }
    return leaves
  }

  /// The largest distance between two float32 tensors of one sign, in units in the last place.
  private func largestDistance(_ left: [UInt8], _ right: [UInt8]) -> UInt32 {
    func bits(_ bytes: [UInt8]) -> [UInt32] { bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) } }
    return zip(bits(left), bits(right)).map { max($0, $1) - min($0, $1) }.max() ?? 0
  }
}
