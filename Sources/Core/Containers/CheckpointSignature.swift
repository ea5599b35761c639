/// What a file is, by its first bytes.
enum CheckpointSignature: Equatable {
  case torchZip
  case torchLegacy
  case safetensors
  case hdf5
  /// No checkpoint; a predicate that says what it is instead and what to do.
  case other(String)

  /// Looks at a file. Reads at most a few hundred bytes.
  init(file: InputFile) throws(ConversionError) {
    let head = try file.bytes(at: 0, count: min(file.size, 512))
    if head.starts(with: Self.hdf5Magic) {
      self = .hdf5
    } else if head.starts(with: Array("PK".utf8)) {
      self = .torchZip
    } else if Self.isSafetensors(head, size: file.size) {
      self = .safetensors
    } else if try Self.hasHDF5UserBlock(file) {
      // Looked for late: a file elsewhere answers each of these reads with a request of its own.
      self = .hdf5
    } else if head.first == 0x80 {
      self = .torchLegacy
    } else {
      self = .other(Self.describe(head))
    }
  }

  private static let hdf5Magic: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The signature may follow a user block of 512 bytes or any doubling of it.
  private static func hasHDF5UserBlock(_ file: InputFile) throws(ConversionError) -> Bool {
    var offset = 512
    while offset <= min(file.size - hdf5Magic.count, 1 << 20) {
      if try file.bytes(at: offset, count: hdf5Magic.count) == hdf5Magic { return true }
      offset *= 2
    }
    return false
  }

  /// An 8-byte header length and `{`. A length that the file cannot hold still counts unless it reads as text, so that
  /// a damaged file is called what it is.
  private static func isSafetensors(_ head: [UInt8], size: Int) -> Bool {
    guard head.count > 8, head[8] == UInt8(ascii: "{") else { return false }
    let length = head[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    // A pickle starts with 0x80 and its protocol; a header of such a length would have to fit the file.
    if head[0] == 0x80, head[1] <= 5, length > UInt64(size - 8) { return false }
    return length <= UInt64(size - 8) || !head[..<8].allSatisfy { (0x09..<0x7F).contains($0) }
  }

  private static func describe(_ head: [UInt8]) -> String {
    if head.isEmpty { return "is empty" }
    let known: [(String, String)] = [
      ("GGUF", "is a GGUF file; convert the original checkpoint instead"),
      ("version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
      ("<", "is a web page or XML, not a checkpoint; check where it was downloaded from"),
      ("\u{1F}\u{8B}", "is compressed with gzip; decompress it first"),
      ("{", "is a JSON document; a shard index or config is no checkpoint by itself"),
      ("[", "is a JSON document, not a checkpoint"),
    ]
    let text = head.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    for (prefix, description) in known where text.starts(with: prefix.unicodeScalars.map { UInt8($0.value) }) {
      return description
    }
    if head.count > 262, head[257..<262].elementsEqual("ustar".utf8) {
      return "is a tar archive; torch 0.1 wrote such checkpoints: save it again with a later release"
    }
    if head.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || [0x09, 0x0A, 0x0D].contains($0) }),
      String(validating: head.dropLast(min(3, head.count - 1)), as: UTF8.self) != nil
    {
      return "is a text file, perhaps a YAML config; pass the checkpoint here"
    }
    return "is no checkpoint: neither torch, safetensors nor HDF5"
  }
}
