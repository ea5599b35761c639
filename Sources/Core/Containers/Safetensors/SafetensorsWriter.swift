/// Writes safetensors as the library's `save_file(tensors, path, metadata={"format": "pt"})` does, byte for byte.
///
/// Peak memory: the header.
struct SafetensorsWriter: TensorSink {
  /// False: the format has one range for each tensor and forbids that ranges overlap.
  static let sharesStorages = false
  /// The file being written.
  let file: StagedFile
  /// Where each storage goes.
  let offsets: [Int]
  /// False: the format has no checksums.
  let needsChecksums = false

  /// Writes the header and sets the length of the file.
  ///
  /// Throws `.usage` when the tree is anything but a flat dictionary of named tensors with a storage each, or has a
  /// type that the format lacks.
  init(file: StagedFile, layout: SinkLayout) throws(ConversionError) {
    var tensors = try Self.tensors(layout, of: file.name)
    tensors.sort { left, right in
      let ranks = (SafetensorsDType.rank(left.tensor.dtype), SafetensorsDType.rank(right.tensor.dtype))
      return ranks.0 == ranks.1 ? left.name.utf8.lexicographicallyPrecedes(right.name.utf8) : ranks.0 > ranks.1
    }
    var offsets = [Int](repeating: 0, count: layout.storages.count)
    var header = Array(#"{"__metadata__":{"format":"pt"}"#.utf8)
    var position = 0
    var pacer = Interruption.Pacer()
    for (name, tensor, type) in tensors {
      try pacer.step()
      offsets[tensor.storage] = position
      let (end, overflow) = position.addingReportingOverflow(layout.storages[tensor.storage])
      guard !overflow else {
        throw ConversionError(.outputFailed, "\(file.name): the checkpoint is larger than a file can be")
      }
      header += Self.quoted(name, after: ",")
      header += #":{"dtype":"\#(type)","shape":[\#(tensor.shape.map { "\($0)" }.joined(separator: ","))],"#.utf8
      header += #""data_offsets":[\#(position),\#(end)]}"#.utf8
      position = end
    }
    header.append(UInt8(ascii: "}"))
    while !header.count.isMultiple(of: 8) { header.append(0x20) }
    guard header.count <= Limits.standard.safetensorsHeader else {
      throw ConversionError(
        .usage, "\(file.name): the header would have \(header.count) bytes, more than safetensors allows; write shards")
    }
    let start = 8 + header.count
    self.offsets = offsets.map { start + $0 }
    self.file = file
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try file.write(length + header, at: 0)
    try file.resize(to: start + position)
  }

  /// Nothing remains to be written.
  func finish(checksums: [UInt32]) throws(ConversionError) {}

  private static func tensors(
    _ layout: SinkLayout, of path: String
  ) throws(ConversionError) -> [(name: String, tensor: OutputTensor, type: String)] {
    guard case .dictionary(let entries, _) = layout.tree else {
      throw ConversionError(.usage, "\(path): safetensors holds a dictionary of tensors and nothing else")
    }
    var used = [Bool](repeating: false, count: layout.storages.count)
    var tensors: [(name: String, tensor: OutputTensor, type: String)] = []
    tensors.reserveCapacity(entries.count)
    var pacer = Interruption.Pacer()
    for entry in entries {
      try pacer.step()
      guard case .string(let name) = entry.key, name != "__metadata__", case .tensor(let tensor) = entry.value else {
        throw ConversionError(.usage, "\(path): safetensors holds named tensors only, but '\(entry.key)' is none")
      }
      guard let type = SafetensorsDType.name(tensor.dtype) else {
        throw ConversionError(
          .usage, "\(path): safetensors has no type \(tensor.dtype.rawValue), which '\(name)' needs")
      }
      guard layout.storages.indices.contains(tensor.storage), !used[tensor.storage] else {
        throw ConversionError(.usage, "\(path): safetensors cannot share memory, but '\(name)' shares its storage")
      }
      used[tensor.storage] = true
      guard let count = TensorShape.elementCount(tensor.shape),
        count.multipliedReportingOverflow(by: tensor.dtype.size) == (layout.storages[tensor.storage], false)
      else {
        throw ConversionError(.internal, "\(path): '\(name)' of shape \(tensor.shape) does not fill its storage")
      }
      tensors.append((name, tensor, type))
    }
    return tensors
  }

  /// A string as `serde_json` writes it.
  private static func quoted(_ text: String, after separator: String) -> [UInt8] {
    var bytes = Array((separator + "\"").utf8)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0x08: bytes += Array(#"\b"#.utf8)
      case 0x09: bytes += Array(#"\t"#.utf8)
      case 0x0A: bytes += Array(#"\n"#.utf8)
      case 0x0C: bytes += Array(#"\f"#.utf8)
      case 0x0D: bytes += Array(#"\r"#.utf8)
      case 0..<0x20:
        let digits = String(byte, radix: 16)
        bytes += Array((#"\u00"# + (digits.count == 1 ? "0" : "") + digits).utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
    return bytes
  }
}
