import Core
import Foundation

/// Which files of a repository are its config, its checkpoint and what belongs to them.
package struct HubSelection: Sendable {
  /// What is wanted of a repository.
  package enum Part: Sendable {
    /// The config that belongs to the checkpoint.
    case config
    /// A config that was named as such.
    case namedConfig
    case checkpoint
    /// What is carried to the outputs.
    case companions
  }

  let reference: HubReference
  /// Paths of the files that are there, in the order of the hub.
  let listing: [String]

  /// Files that belong to a model beside config and weights, as transformers names them.
  private static let companions = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model",
    "preprocessor_config.json", "processor_config.json", "chat_template.jinja", "chat_template.json",
  ]
  private static let configNames = ["config.json", "params.yaml", "config.yaml"]
  private static let configExtensions = [".json", ".yaml", ".yml"]
  private static let textExtensions = configExtensions + [".md", ".txt", ".jinja", ".py"]
  private static let weightExtensions = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".mdl", ".h5", ".hdf5"]

  // MARK: Names

  /// True for the name of a checkpoint or a shard index.
  static func isWeights(_ name: String) -> Bool {
    isIndex(name) || weightExtensions.contains { name.hasSuffix($0) }
  }

  /// An index of a variant has its name in the middle: `model.safetensors.index.fp16.json`.
  private static func isVariantIndex(_ name: String) -> Bool {
    guard name.hasSuffix(".json"), let range = name.range(of: ".index.") else { return false }
    return !name[range.upperBound...].dropLast(".json".count).contains(".")
  }

  /// True for the name of a shard index, of a variant or not.
  static func isIndex(_ name: String) -> Bool { name.hasSuffix(".index.json") || isVariantIndex(name) }

  /// True for a file whose page stands for its repository when a checkpoint is wanted.
  private static func isText(_ path: String) -> Bool {
    let name = name(path)
    return !isIndex(name) && (companions.contains(name) || textExtensions.contains { name.hasSuffix($0) })
  }

  private static func isConfig(_ path: String) -> Bool {
    let name = name(path)
    return !isIndex(name) && !companions.contains(name) && configExtensions.contains { name.hasSuffix($0) }
  }

  private static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

  /// The name that a file gets beside the others of its checkpoint: its own, but for the index of a variant, which only
  /// the hub names so.
  static func localName(_ path: String) -> String {
    let name = name(path)
    guard isVariantIndex(name), !name.hasSuffix(".index.json"), let range = name.range(of: ".index.") else {
      return name
    }
    let variant = name[range.upperBound...].dropLast(".json".count)
    let (stem, kind) = (name[..<range.lowerBound], "index.json")
    guard let dot = stem.lastIndex(of: ".") else { return name }
    return "\(stem[..<dot]).\(variant)\(stem[dot...]).\(kind)"
  }

  // MARK: Choices

  /// Paths under which a part may be, the best first: what is asked for where nobody lists the files. Empty when the
  /// reference names them.
  static func candidates(for part: Part, of reference: HubReference) -> [String] {
    let folder = reference.subfolder.map { $0 + "/" } ?? ""
    switch part {
    case .config, .namedConfig:
      return namedConfigs(reference, part).isEmpty ? configNames.map { folder + $0 } : []
    case .checkpoint:
      guard namedWeights(reference).isEmpty else { return [] }
      let variant = reference.variant.map { "." + $0 } ?? ""
      return [("model", "safetensors"), ("pytorch_model", "bin")].flatMap { stem, kind in
        ["\(folder)\(stem)\(variant).\(kind)", "\(folder)\(stem).\(kind).index\(variant).json"]
      }
    case .companions: return companions.map { folder + $0 }
    }
  }

  /// Configs that a reference names; a page counts when no files do.
  private static func namedConfigs(_ reference: HubReference, _ part: Part) -> [String] {
    if let files = reference.files {
      return files.filter { !isWeights($0) && configExtensions.contains(where: $0.hasSuffix) }
    }
    return [reference.page].compactMap { $0 }.filter { page in
      part == .namedConfig ? !isWeights(page) && isText(page) : isConfig(page)
    }
  }

  /// Files of the checkpoint that a reference names.
  private static func namedWeights(_ reference: HubReference) -> [String] {
    if let files = reference.files { return files.filter { isWeights($0) } }
    return [reference.page].compactMap { $0 }.filter { !isText($0) }
  }

  /// Path of the config. Throws `.fileNotFound` when there is none, `.usage` when two are named.
  func config(_ part: Part = .config) throws(ConversionError) -> String {
    let named = Self.namedConfigs(reference, part)
    guard named.count <= 1 else {
      throw ConversionError(.usage, "\(reference): files names two configs, \(named[0]) and \(named[1])")
    }
    if let config = named.first { return config }
    let names = Set(listing)
    let candidates = Self.candidates(for: part, of: reference)
    guard let config = candidates.first(where: names.contains) else {
      throw ConversionError(
        .fileNotFound, "\(reference) has no config: none of \(candidates.joined(separator: ", ")); name it in files")
    }
    return config
  }

  /// Paths of the checkpoint: one file, or a shard index whose shards are found in it. Files that the reference names, or
  /// one of those that are there: safetensors before .bin, one file before shards, as `from_pretrained` does.
  ///
  /// Throws `.fileNotFound` when there is none, `.usage` when only the client can choose.
  func checkpoint() throws(ConversionError) -> [String] {
    let named = Self.namedWeights(reference)
    guard named.isEmpty else { return named }
    let names = Set(listing)
    let standard = Self.candidates(for: .checkpoint, of: reference)
    if let name = standard.first(where: names.contains) { return [name] }
    let folder = reference.subfolder.map { $0 + "/" } ?? ""
    let others = names.filter { name in
      name.hasPrefix(folder) && !name.dropFirst(folder.count).contains("/") && Self.isWeights(name)
        && !NeighbouringFormats.isOther(Self.name(name))
    }.sorted()
    if reference.variant == nil, others.count == 1 { return others }
    guard others.isEmpty || reference.variant != nil else {
      throw ConversionError(
        .usage,
        "\(reference) holds more than one checkpoint: \(others.prefix(8).joined(separator: ", ")). Name one in files.")
    }
    if others.isEmpty, let problem = NeighbouringFormats.describe(names.filter { $0.hasPrefix(folder) }.map(Self.name))
    {
      throw ConversionError(.fileNotFound, "\(reference) \(problem)")
    }
    let kind = reference.variant.map { " of the variant \($0)" } ?? ""
    throw ConversionError(
      .fileNotFound, "\(reference) has no checkpoint\(kind): none of \(standard.joined(separator: ", "))")
  }

  /// Paths of the files that are carried to the outputs.
  var carried: [String] {
    let companions = Set(Self.candidates(for: .companions, of: reference))
    return listing.filter(companions.contains)
  }
}
