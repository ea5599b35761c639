import Foundation
import Testing

@testable import Core

/// Every recorded sample of torch and safetensors, compared value by value with what Python saw in it.
@Suite(.enabled(if: SharedFiles.exist)) struct SampleTests {
  static let samples = SharedFiles.names("formats/samples").filter {
    ($0.hasSuffix(".pt") || $0.hasSuffix(".safetensors")) && !$0.hasPrefix("st-src")
  }

  @Test(arguments: samples) func matchesItsListing(name: String) throws {
    let source = try Checkpoint.open(path: SharedFiles.folder + "/formats/samples/" + name)
    let expected = try #require(
      try SharedFiles.json("formats/samples/\(name).listing.json")["entries"] as? [String: Any])
    var found: [String: ObjectTree<TensorDescriptor>] = [:]
    source.tree.forEachLeaf { path, leaf in found[path] = leaf }
    for (key, value) in expected {
      let entry = try #require(value as? [String: Any])
      if entry["python"] as? String == "dict" || entry["python"] as? String == "list" { continue }
      if key == "bytes_len" {
        #expect(found[key] == .int(300))
        continue
      }
      try compare(try #require(found[key], "\(key) is missing"), entry, source, key)
    }
    let tensors = found.filter { if case .tensor = $0.value { true } else { false } }
    let listed = expected.filter { ($0.value as? [String: Any])?["sha256"] != nil }
    #expect(Set(tensors.keys) == Set(listed.keys))
  }

  /// The index lists each key with its shard; the shards hold these keys and no others.
  @Test(arguments: [
    ("sharded-bin", "pytorch_model.bin.index.json"), ("sharded-safetensors", "model.safetensors.index.json"),
  ])
  func shardsHoldTheKeysOfTheirIndex(folder: String, index: String) throws {
    let document = try SharedFiles.json("formats/samples/\(folder)/\(index)")
    let places = try #require(document["weight_map"] as? [String: String])
    for shard in Set(places.values) {
      let source = try Checkpoint.open(path: "\(SharedFiles.folder)/formats/samples/\(folder)/\(shard)")
      var keys: Set<String> = []
      source.tree.forEachLeaf { path, _ in keys.insert(path) }
      #expect(keys == Set(places.filter { $0.value == shard }.keys))
    }
  }

  private func compare(
    _ leaf: ObjectTree<TensorDescriptor>, _ entry: [String: Any], _ source: any TensorSource, _ key: String
  ) throws {
    if let type = (entry["dtype"] ?? entry["numpy"]) as? String {
      guard case .tensor(let tensor) = leaf else {
        Issue.record("\(key) is no tensor")
        return
      }
      #expect(tensor.dtype.rawValue == type)
      #expect(tensor.shape == entry["shape"] as? [Int])
      #expect(sha256(try source.elements(tensor)) == entry["sha256"] as? String, "\(key)")
      return
    }
    switch leaf {
    case .none: #expect(entry["python"] as? String == "NoneType")
    case .bool(let flag): #expect(flag == entry["value"] as? Bool)
    case .int(let number): #expect(number == entry["value"] as? Int)
    case .longInt(let digits): #expect(Double(digits) == entry["value"] as? Double)
    case .double(let number): #expect(number == entry["value"] as? Double)
    case .string(let text): #expect(text == entry["value"] as? String)
    case .opaque(.dtype(let name)): #expect(name == entry["repr"] as? String)
    case .opaque(.device(let type, nil)): #expect("device(type='\(type)')" == entry["repr"] as? String)
    default: Issue.record("\(key) has an unexpected kind: \(leaf)")
    }
  }
}
