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
    return length <= UInt64(size - 8) || !isText(head[..<8])
  }

  private static func isText(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.allSatisfy { $0 >= 0x09 && $0 != 0x7F } && String(validating: bytes, as: UTF8.self) != nil
  }

  /// What a file is that should be a text, such as a config or an index: a predicate, or nil when it may be one.
  ///
  /// `head` is the beginning of the file. Complexity: O(1).
  static func insteadOfText(_ head: [UInt8], size: Int) -> String? {
    let checkpoints: [(String, Bool)] = [
      ("HDF5", head.starts(with: hdf5Magic)), ("torch", head.starts(with: [0x50, 0x4B, 0x03, 0x04])),
      ("torch", head.count > 1 && head[0] == 0x80 && head[1] <= 5), ("safetensors", isSafetensors(head, size: size)),
    ]
    if let container = checkpoints.first(where: \.1)?.0 {
      return "is a checkpoint (\(container)), not a config; pass the config here"
    }
    let pages = ["<!", "<html", "<HTML", "<?xml", "<head", "<body"]
    let page = "is a web page or XML, not a config; check where it was downloaded from"
    return otherFormat(head) ?? description(pages.map { ($0, page) }, of: head)
  }

  private static func description(_ known: [(prefix: String, text: String)], of head: [UInt8]) -> String? {
    let text = head.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    return known.first { text.starts(with: $0.prefix.unicodeScalars.map { UInt8($0.value) }) }?.text
  }

  /// Formats that are neither checkpoints nor texts that belong to one.
  private static func otherFormat(_ head: [UInt8]) -> String? {
    let ggml = "is a GGML file; convert the original checkpoint instead"
    let known: [(String, String)] = [
      ("GGUF", "is a GGUF file; convert the original checkpoint instead"), ("tjgg", ggml), ("lmgg", ggml),
      ("fmgg", ggml),
      ("version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
      ("\u{1F}\u{8B}", "is compressed with gzip; decompress it first"),
      ("\u{28}\u{B5}\u{2F}\u{FD}", "is compressed with zstd; decompress it first"),
      ("\u{FD}7zXZ", "is compressed with xz; decompress it first"),
      ("BZh9", "is compressed with bzip2; decompress it first"),
      ("\u{93}NUMPY", "is a numpy array; save a dictionary of tensors with torch.save or safetensors"),
    ]
    if let description = description(known, of: head) { return description }
    guard head.count > 262, head[257..<262].elementsEqual("ustar".utf8) else { return nil }
    return
      "is a tar archive; unpack it with `tar -xf` and pass what is inside. If torch 0.1 wrote it as a checkpoint, save "
      + "it again with a later release"
  }

  private static func describe(_ head: [UInt8]) -> String {
    if head.isEmpty { return "is empty" }
    if let format = otherFormat(head) { return format }
    let known: [(String, String)] = [
      ("<", "is a web page or XML, not a checkpoint; check where it was downloaded from"),
      ("{", "is a JSON document; a shard index or config is no checkpoint by itself"),
      ("[", "is a JSON document, not a checkpoint"),
    ]
    if let description = Self.description(known, of: head) { return description }
    if head.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || [0x09, 0x0A, 0x0D].contains($0) }),
      String(validating: head.dropLast(min(3, head.count - 1)), as: UTF8.self) != nil
    {
      return "is a text file, perhaps a YAML config; pass the checkpoint here"
    }
    return "is no checkpoint: neither torch, safetensors nor HDF5"
  }
}
