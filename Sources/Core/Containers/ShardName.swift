internal import SystemPackage

/// The name of one of several shards, without its extension: `pytorch_model-00002-of-00003`.
struct ShardName: Hashable, CustomStringConvertible {
  /// What all shards share.
  let base: String
  /// Which one it is, from 1.
  let number: Int
  /// How many there are.
  let count: Int

  /// A shard of a checkpoint. Precondition: `number` is from 1 to `count`.
  init(base: String, number: Int, count: Int) {
    self.base = base
    self.number = number
    self.count = count
  }

  /// Reads a name; nil when it is not named as a shard is.
  init?(_ stem: String) {
    let parts = stem.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 4, parts[parts.count - 2] == "of", let count = Int(parts[parts.count - 1]),
      let number = Int(parts[parts.count - 3]), (1...max(count, 1)).contains(number)
    else { return nil }
    self.init(base: parts.dropLast(3).joined(separator: "-"), number: number, count: count)
  }

  /// The name as transformers writes it, five digits each.
  var description: String { "\(base)-\(Self.padded(number))-of-\(Self.padded(count))" }

  private static func padded(_ number: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(5 - digits.count, 0)) + digits
  }

  /// Names the first shard that is missing, when every path is named as a shard of one checkpoint.
  ///
  /// Throws `.unreadableInput`.
  static func checkComplete(_ paths: [String], of files: InputFiles) throws(ConversionError) {
    let names = paths.compactMap { FilePath($0).stem.flatMap(ShardName.init) }
    guard names.count == paths.count, let first = names.first,
      names.allSatisfy({ $0.base == first.base && $0.count == first.count })
    else { return }
    let present = Set(names.map(\.number))
    guard let missing = (1...first.count).first(where: { !present.contains($0) }) else { return }
    let name = ShardName(base: first.base, number: missing, count: first.count).description
    throw ConversionError(.unreadableInput, "\(files.name(paths[0])): the shard \(name) is missing")
  }
}
