import OrderedCollections
internal import SystemPackage

/// The index of a sharded checkpoint: which file of the same folder holds which tensor.
///
/// Hugging Face writes it as `model.safetensors.index.json` or `pytorch_model.bin.index.json`: an object with
/// `weight_map`, a mapping of tensor names to file names, and `metadata`, of which nothing is used here. Source:
/// `save_pretrained` in transformers' modeling_utils.py.
package struct ShardIndex: Sendable, Hashable {
  /// File name of the shard for each tensor, in the order of the index.
  let weightMap: OrderedDictionary<String, String>

  /// The shards, each once, in the order in which the index first names them.
  package var shards: [String] { Array(OrderedSet(weightMap.values)) }

  /// True for a path that is named as an index is.
  package static func isIndex(path: String) -> Bool { path.hasSuffix(".index.json") }

  /// Reads an index file.
  ///
  /// Throws `.unreadableInput` when it cannot be read or is no index, `.hostileInput` when a shard lies outside the
  /// folder, or a limit is exceeded: `limits.indexBytes`, `.tensors`. Complexity: O(bytes).
  package static func load(
    path: String, limits: Limits = .standard, files: InputFiles = .onDisk
  ) throws(ConversionError) -> ShardIndex {
    let file = try files.open(path)
    guard file.size <= limits.indexBytes else {
      throw ConversionError(
        .hostileInput, "\(file.path) has \(file.size) bytes; an index of at most \(limits.indexBytes) is read")
    }
    try limits.take(2 * file.size)
    return try parse(try file.bytes(at: 0, count: file.size), name: file.path, limits: limits)
  }

  /// Reads an index from memory. `name` is what errors call it. Throws as `load` does.
  package static func parse(
    _ bytes: [UInt8], name: String, limits: Limits = .standard
  ) throws(ConversionError) -> ShardIndex {
    try ConfigText.check(Array(bytes.prefix(512)), size: bytes.count, name: name)
    var documentLimits = limits
    documentLimits.configBytes = limits.indexBytes
    // The tensors, and some room for what `metadata` says.
    let (nodes, overflow) = limits.tensors.addingReportingOverflow(limits.configNodes)
    documentLimits.configNodes = overflow ? .max : nodes
    let document = try JSONReader.parse(bytes, name: name, limits: documentLimits)
    guard case .object(let root) = document, let map = root["weight_map"] else {
      throw ConversionError(.unreadableInput, "\(name) is no shard index: it has no weight_map")
    }
    guard case .object(let entries) = map else {
      throw ConversionError(
        .unreadableInput, "\(name): weight_map is \(map.kindDescription); it must map tensor names to file names")
    }
    guard entries.count <= limits.tensors else {
      throw ConversionError(
        .hostileInput, "\(name) names \(entries.count) tensors; at most \(limits.tensors) are read")
    }
    var weightMap = OrderedDictionary<String, String>(minimumCapacity: entries.count)
    var checked: Set<String> = []
    for (key, value) in entries {
      guard case .string(let shard) = value else {
        throw ConversionError(
          .unreadableInput, "\(name): the shard of \(key) is \(value.kindDescription); it must be a file name")
      }
      if checked.insert(shard).inserted, let problem = problem(shard: shard) {
        throw ConversionError(
          .hostileInput, "\(name): the shard \(PythonText.repr(shard)) of \(key) \(problem)")
      }
      weightMap[key] = shard
    }
    return ShardIndex(weightMap: weightMap)
  }

  /// The path of a shard, beside the index.
  ///
  /// A symbolic link is followed wherever it leads: Hugging Face caches are made of such links.
  package func path(ofShard shard: String, indexPath: String) -> String {
    FilePath(indexPath).removingLastComponent().appending(shard).string
  }

  /// What is wrong with the name of a shard, or nil. A shard is a plain file name in the folder of the index.
  private static func problem(shard: String) -> String? {
    if shard.isEmpty { return "has no name" }
    if shard.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "contains a control character" }
    if shard.contains("://") { return "is a URL; shards lie beside their index" }
    if shard.hasPrefix("/") { return "is an absolute path; shards lie beside their index" }
    if shard == "." || shard == ".." || shard.utf8.contains(UInt8(ascii: "/"))
      || shard.utf8.contains(UInt8(ascii: "\\"))
    {
      return "leaves the folder of the index"
    }
    return isIndex(path: shard) ? "is an index itself" : nil
  }
}
