import Foundation
import Testing

@testable import Core

/// A GPT-2 of two layers as files, in whatever container and number of shards a test wants.
struct SmallGPT2 {
  /// Keys and shapes as Hugging Face has them.
  static let tensors: [(key: String, shape: [Int])] = {
    let width = 8
    var tensors: [(String, [Int])] = [
      ("transformer.wte.weight", [11, width]), ("transformer.wpe.weight", [6, width]),
    ]
    for layer in 0..<2 {
      let parts: [(String, [Int])] = [
        ("ln_1.weight", [width]), ("ln_1.bias", [width]), ("attn.c_attn.weight", [width, 3 * width]),
        ("attn.c_attn.bias", [3 * width]), ("attn.c_proj.weight", [width, width]), ("attn.c_proj.bias", [width]),
        ("ln_2.weight", [width]), ("ln_2.bias", [width]), ("mlp.c_fc.weight", [width, 4 * width]),
        ("mlp.c_fc.bias", [4 * width]), ("mlp.c_proj.weight", [4 * width, width]), ("mlp.c_proj.bias", [width]),
      ]
      tensors += parts.map { ("transformer.h.\(layer).\($0)", $1) }
    }
    return tensors + [("transformer.ln_f.weight", [width]), ("transformer.ln_f.bias", [width])]
      + [("lm_head.weight", [11, width])]
  }()

  let folder: TemporaryFolder
  let config: String

  /// A folder with a config and no checkpoint yet. `extra` are members of the config, such as `"torch_dtype": "float32"`.
  init(_ extra: String...) throws {
    folder = try TemporaryFolder()
    let members =
      [
        #""n_embd": 8, "n_head": 2, "n_layer": 2, "n_positions": 6, "vocab_size": 11"#,
        #""embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "model_type": "gpt2""#,
      ] + extra
    config = try folder.write(Array("{\(members.joined(separator: ", "))}".utf8), as: "config.json")
  }

  /// A sample with the tensors of some keys; equal keys have equal bytes whatever shard they are in.
  static func sample(_ keys: [String]? = nil, dtype: DType = .float32) -> Sample {
    var sample = Sample(tree: .none, contents: [])
    var entries: [ObjectTree<OutputTensor>.Entry] = []
    for (position, (key, shape)) in tensors.enumerated() where keys?.contains(key) ?? true {
      let bytes = (0..<shape.reduce(1, *)).flatMap { Self.bytes(Float(position * 100) + Float($0) / 128, dtype) }
      entries.append(
        .init(.string(key), .tensor(OutputTensor(dtype: dtype, shape: shape, storage: sample.contents.count))))
      sample.contents.append(bytes)
    }
    sample.tree = .dictionary(entries, ordered: true)
    return sample
  }

  private static func bytes(_ value: Float, _ dtype: DType) -> [UInt8] {
    dtype == .float64
      ? withUnsafeBytes(of: Double(value), Array.init) : withUnsafeBytes(of: value, Array.init)
  }

  /// Writes a model of many layers, whose tensors have an element or three each.
  func writeDeep(_ sink: (some TensorSink).Type, layers: Int, as name: String) throws -> String {
    let block = Self.tensors.filter { $0.key.hasPrefix("transformer.h.0.") }
    var tensors: [(String, DType, [Int])] = []
    for layer in 0..<layers {
      for (key, shape) in block {
        let suffix = key.dropFirst("transformer.h.0.".count)
        tensors.append(("transformer.h.\(layer).\(suffix)", .float32, shape.map { $0 == 24 ? 3 : 1 }))
      }
    }
    tensors += Self.tensors.filter { !$0.key.contains(".h.") }.map { ($0.key, .float32, $0.shape) }
    try Sample.flat(tensors).write(with: sink, to: folder.file(name))
    return folder.file(name)
  }

  /// Writes the whole model into one file.
  func write<Sink: TensorSink>(_ sink: Sink.Type, as name: String, dtype: DType = .float32) throws -> String {
    try Self.sample(dtype: dtype).write(with: sink, to: folder.file(name))
    return folder.file(name)
  }

  /// Writes three shards and their index; returns the index and the shards.
  func writeShards<Sink: TensorSink>(_ sink: Sink.Type, base: String, ending: String) throws -> [String] {
    var map: [String: String] = [:]
    var paths: [String] = []
    for number in 1...3 {
      let name = "\(base)-0000\(number)-of-00003.\(ending)"
      let keys = Self.tensors.indices.filter { $0 % 3 == number - 1 }.map { Self.tensors[$0].key }
      for key in keys { map[key] = name }
      try Self.sample(keys).write(with: sink, to: folder.file(name))
      paths.append(folder.file(name))
    }
    let index = try JSONSerialization.data(withJSONObject: ["weight_map": map])
    return [try folder.write([UInt8](index), as: "\(base).\(ending).index.json")] + paths
  }

  /// Converts to another format, into the folder `out`.
  func convert(
    _ checkpoint: [String], from source: String = "hf", to target: String = "cs-1.8", config: String? = nil,
    options: ConversionOptions = ConversionOptions()
  ) throws -> ConversionResult {
    try Conversion.run(
      ConversionRequest(
        command: .convert, model: "gpt2", sourceFormat: source, targetFormat: target, config: config ?? self.config,
        checkpoint: checkpoint, outputDirectory: folder.file("out"), options: options),
      monitor: UnattendedMonitor())
  }

  /// Files of the output folder, those of its folders and hidden ones included.
  var outputs: [String] {
    (FileManager.default.subpaths(atPath: folder.file("out")) ?? []).sorted()
  }
}

extension TensorSource {
  /// Every tensor by its path in the tree.
  func tensors() throws -> [String: ReadTensor] {
    var found: [String: ReadTensor] = [:]
    var failure: (any Error)?
    tree.forEachLeaf { path, leaf in
      guard case .tensor(let tensor) = leaf else { return }
      do {
        found[path] = ReadTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try elements(tensor))
      } catch { failure = error }
    }
    if let failure { throw failure }
    return found
  }
}
