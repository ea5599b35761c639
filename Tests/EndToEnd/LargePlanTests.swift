import Foundation
import TestSupport
import Testing

/// A plan for a model that no test machine could hold.
@Suite("Plan of a large model", .enabled(if: ServiceProcess.binary != nil), .serialized)
struct LargePlanTests {
  private struct Shape {
    let name: String
    let shape: [Int]
    var bytes: Int { shape.reduce(2, *) }
  }

  private static let (width, layers, vocabulary) = (8192, 88, 50432)

  /// GPT-NeoX of 71 billion parameters in half precision.
  private static var tensors: [Shape] {
    var tensors = [Shape(name: "gpt_neox.embed_in.weight", shape: [vocabulary, width])]
    for layer in 0..<layers {
      let prefix = "gpt_neox.layers.\(layer)."
      for (name, shape) in [
        ("input_layernorm.weight", [width]), ("input_layernorm.bias", [width]),
        ("post_attention_layernorm.weight", [width]), ("post_attention_layernorm.bias", [width]),
        ("attention.query_key_value.weight", [3 * width, width]), ("attention.query_key_value.bias", [3 * width]),
        ("attention.dense.weight", [width, width]), ("attention.dense.bias", [width]),
        ("mlp.dense_h_to_4h.weight", [4 * width, width]), ("mlp.dense_h_to_4h.bias", [4 * width]),
        ("mlp.dense_4h_to_h.weight", [width, 4 * width]), ("mlp.dense_4h_to_h.bias", [width]),
      ] { tensors.append(Shape(name: prefix + name, shape: shape)) }
    }
    tensors += [
      Shape(name: "gpt_neox.final_layer_norm.weight", shape: [width]),
      Shape(name: "gpt_neox.final_layer_norm.bias", shape: [width]),
      Shape(name: "embed_out.weight", shape: [vocabulary, width]),
    ]
    return tensors
  }

  private static let config = """
    {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 8192, "num_attention_heads": 64,
     "num_hidden_layers": 88, "intermediate_size": 32768, "vocab_size": 50432, "max_position_embeddings": 2048,
     "rotary_pct": 0.25, "use_parallel_residual": true, "hidden_act": "gelu", "tie_word_embeddings": false,
     "torch_dtype": "float16"}
    """

  /// Shards of at most 5 GB whose tensors are holes, their index and the config.
  private static func repository() throws -> (files: [String: TestHub.File], bytes: Int) {
    var shards: [[Shape]] = [[]]
    var size = 0
    for tensor in tensors {
      if size + tensor.bytes > 5_000_000_000 {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(tensor)
      size += tensor.bytes
    }
    var map: [String: String] = [:]
    var files: [String: TestHub.File] = [:]
    for (index, shard) in shards.enumerated() {
      let name = String(format: "model-%05d-of-%05d.safetensors", index + 1, shards.count)
      var header: [String: Any] = [:]
      var end = 0
      for tensor in shard {
        header[tensor.name] = ["dtype": "F16", "shape": tensor.shape, "data_offsets": [end, end + tensor.bytes]]
        end += tensor.bytes
        map[tensor.name] = name
      }
      let json = try JSONSerialization.data(withJSONObject: header)
      let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
      files[name] = TestHub.File(beginning: length + json, size: 8 + json.count + end)
    }
    let index = try JSONSerialization.data(withJSONObject: ["weight_map": map])
    let digest = String(repeating: "0123", count: 16)
    files["model.safetensors.index.json"] = TestHub.File(index, sha256: digest, isLarge: false)
    files["config.json"] = TestHub.File(Data(config.utf8), sha256: "1" + digest.dropFirst(), isLarge: false)
    return (files, tensors.reduce(0) { $0 + $1.bytes })
  }

  /// Plans the repository of a hub with the real binary.
  private func plan(_ hub: TestHub) throws -> (plan: [String: Any], time: Duration) {
    let cache = FileManager.default.temporaryDirectory.appending(path: "zooport-plan-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: cache) }
    let process = Process()
    process.executableURL = URL(filePath: try #require(ServiceProcess.binary))
    process.arguments = [
      "plan", "hub://owner/large", "--model", "auto", "--src-fmt", "hf", "--tgt-fmt", "cs-1.8", "--json",
    ]
    process.environment = ["HF_ENDPOINT": hub.endpoint, "XDG_CACHE_HOME": cache.path, "PATH": "/usr/bin"]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    let start = ContinuousClock.now
    try process.run()
    let text = try #require(try output.fileHandleForReading.readToEnd())
    process.waitUntilExit()
    let time = ContinuousClock.now - start
    #expect(process.terminationStatus == 0)
    return (try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any]), time)
  }

  @Test("Shards are asked for together: what a plan waits for does not grow with their number")
  func turns() throws {
    let (files, _) = try Self.repository()
    let hub = try TestHub(["owner/large": .init(files)])
    defer { hub.stop() }
    hub.delay(0.3)
    let (_, time) = try plan(hub)
    let shards = files.keys.count { $0.hasSuffix(".safetensors") }
    print("Plan of \(shards) shards, 0.3 s a request: \(hub.requests.count) requests in \(hub.turns) turns, \(time)")
    #expect(hub.turns < 16)
    // One request for the head of each shard and one for its header: the head brings the redirect along.
    for name in files.keys where name.hasSuffix(".safetensors") {
      #expect(hub.requests.count { $0.path == name } == 2, "\(name)")
    }
  }

  @Test("71 billion parameters in 30 shards: under 2 MB and 5 s")
  func plan() throws {
    let (files, bytes) = try Self.repository()
    let hub = try TestHub(["owner/large": .init(files)])
    defer { hub.stop() }
    let (plan, time) = try plan(hub)
    let totals = try #require(plan["totals"] as? [String: Int])
    #expect(totals["bytes_in"] == bytes)
    #expect(totals["tensors_in"] == Self.tensors.count)
    #expect(bytes > 140_000_000_000)
    let weights = files.keys.filter { $0.hasSuffix(".safetensors") }
    print(
      "Plan of \(bytes / 1_000_000_000) GB in \(weights.count) shards: \(hub.bytesSent) bytes in "
        + "\(hub.requests.count) requests, \(time)")
    #expect(hub.bytesSent < 2_000_000)
    #expect(time < .seconds(5))
    // Nothing behind a header was asked for: no byte of a tensor but what shares its first block.
    for name in weights { #expect(hub.bytesSent(name) <= 64 << 10, "\(name)") }
  }
}
