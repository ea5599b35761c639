import Core
import Foundation

/// Which files of a repository are its config and its checkpoint.
struct HubSelection: Sendable, Hashable {
  /// Path of the config.
  var config: String
  /// Paths of the checkpoint: one file, or a shard index whose shards are found in it. Empty when only the config is
  /// wanted.
  var checkpoint: [String]
  /// Paths that are carried to the outputs.
  var carried: [String]

  /// Files that belong to a model beside config and weights, as transformers names them.
  private static let companions: Set = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model",
    "preprocessor_config.json", "processor_config.json", "chat_template.jinja", "chat_template.json",
  ]
  private static let configNames = ["config.json", "params.yaml", "config.yaml"]
  private static let weightExtensions = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".mdl", ".h5", ".hdf5"]

  /// True for the name of a checkpoint or a shard index.
  static func isWeights(_ name: String) -> Bool {
    name.hasSuffix(".index.json") || isVariantIndex(name) || weightExtensions.contains { name.hasSuffix($0) }
  }

  /// An index of a variant has its name in the middle: `model.safetensors.index.fp16.json`.
  private static func isVariantIndex(_ name: String) -> Bool {
    guard name.hasSuffix(".json"), let range = name.range(of: ".index.") else { return false }
    return !name[range.upperBound...].dropLast(".json".count).contains(".")
  }

  /// True for the name of a shard index, of a variant or not.
  static func isIndex(_ name: String) -> Bool { name.hasSuffix(".index.json") || isVariantIndex(name) }

  /// Chooses among the files that a reference names or, where it names none, among those that are there: safetensors
  /// before .bin, one file before shards, as `from_pretrained` does.
  ///
  /// Throws `.fileNotFound` when there is no config or no checkpoint, `.usage` when only the client can choose.
  init(
    _ reference: HubReference, among listing: [String], needsCheckpoint: Bool, carry: Bool
  ) throws(ConversionError) {
    let folder = reference.subfolder.map { $0 + "/" } ?? ""
    let names = Set(listing)
    let asked = reference.files ?? []
    let configs = asked.filter {
      !Self.isWeights($0) && ($0.hasSuffix(".json") || $0.hasSuffix(".yaml") || $0.hasSuffix(".yml"))
    }
    guard configs.count <= 1 else {
      throw ConversionError(.usage, "\(reference): files names two configs, \(configs[0]) and \(configs[1])")
    }
    guard
      let config = configs.first ?? Self.configNames.map({ folder + $0 }).first(where: names.contains)
        ?? (listing.isEmpty ? folder + Self.configNames[0] : nil)
    else {
      throw ConversionError(.fileNotFound, "\(reference) has no \(folder)config.json; name the config in files")
    }
    self.config = config
    let weights = asked.filter { Self.isWeights($0) }
    if !needsCheckpoint {
      checkpoint = []
    } else if !weights.isEmpty {
      checkpoint = weights
    } else {
      checkpoint = [try Self.weights(reference, folder: folder, names: names)]
    }
    carried = carry ? listing.filter { path in Self.companions.contains { path == folder + $0 } } : []
  }

  private static func weights(
    _ reference: HubReference, folder: String, names: Set<String>
  ) throws(ConversionError) -> String {
    let variant = reference.variant.map { "." + $0 } ?? ""
    let standard = [("model", "safetensors"), ("pytorch_model", "bin")].flatMap { stem, kind in
      ["\(folder)\(stem)\(variant).\(kind)", "\(folder)\(stem).\(kind).index\(variant).json"]
    }
    if let name = standard.first(where: names.contains) { return name }
    let others = names.filter { name in
      name.hasPrefix(folder) && !name.dropFirst(folder.count).contains("/") && isWeights(name)
    }.sorted()
    if reference.variant == nil, others.count == 1 { return others[0] }
    guard others.isEmpty || reference.variant != nil else {
      throw ConversionError(
        .usage,
        "\(reference) holds more than one checkpoint: \(others.prefix(8).joined(separator: ", ")). Name one in files.")
    }
    let kind = reference.variant.map { " of the variant \($0)" } ?? ""
    throw ConversionError(
      .fileNotFound, "\(reference) has no checkpoint\(kind): none of \(standard.joined(separator: ", "))")
  }

  /// The name that a file gets beside the others of its checkpoint: its own, but for the index of a variant, which only
  /// the hub names so.
  static func localName(_ path: String) -> String {
    let name = String(path.split(separator: "/").last ?? "")
    guard isVariantIndex(name), !name.hasSuffix(".index.json"), let range = name.range(of: ".index.") else {
      return name
    }
    let variant = name[range.upperBound...].dropLast(".json".count)
    let (stem, kind) = (name[..<range.lowerBound], "index.json")
    guard let dot = stem.lastIndex(of: ".") else { return name }
    return "\(stem[..<dot]).\(variant)\(stem[dot...]).\(kind)"
  }
}
