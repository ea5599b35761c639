/// Writes the zip archive that `torch.save` writes today.
///
/// Layout, alignment and data descriptors are those of torch 2.13, so that `torch.load` may map the file or compute the
/// offsets of storages by itself. Source: `PyTorchStreamWriter` in caffe2/serialize/inline_container.cc, over miniz.
/// Peak memory: `data.pkl` and the directory.
final class TorchZipWriter: TensorSink {
  /// True: tied tensors name one `data/N` entry.
  static let sharesStorages = true
  /// The file being written.
  let file: StagedFile
  /// Where each storage goes.
  let offsets: [Int]
  /// True: zip states a CRC-32 for each entry.
  let needsChecksums = true
  private let records: [ZipRecord]
  /// Index in `records` of the first storage.
  private let firstStorage: Int

  /// The folder inside the archive; torch's own name when it writes to a stream. A fixed name makes equal checkpoints
  /// equal files wherever they are written.
  private static let root = "archive"

  /// Lays the archive out and writes the entries that need no tensor data.
  ///
  /// Throws `.internal` when a tensor does not fit its storage, `.outputFailed` or `.diskFull` when the file cannot be
  /// made.
  init(file: StagedFile, layout: SinkLayout) throws(ConversionError) {
    let pickle = try PickleWriter.data(layout)
    let leading: [(String, [UInt8])] = [
      ("data.pkl", pickle), (".format_version", Array("1".utf8)), (".storage_alignment", Array("64".utf8)),
      ("byteorder", Array("little".utf8)),
    ]
    var records: [ZipRecord] = []
    var position = 0
    var pacer = Interruption.Pacer()
    func add(_ name: String, size: Int, content: [UInt8]?) throws(ConversionError) {
      try pacer.step()
      let record = ZipRecord(name: "\(Self.root)/\(name)", size: size, content: content, headerOffset: position)
      guard let end = record.end else {
        throw ConversionError(.outputFailed, "\(file.name): the checkpoint is larger than a file can be")
      }
      position = end
      records.append(record)
    }
    for (name, content) in leading { try add(name, size: content.count, content: content) }
    for (index, size) in layout.storages.enumerated() { try add("data/\(index)", size: size, content: nil) }
    try add("version", size: 2, content: Array("3\n".utf8))
    self.records = records
    firstStorage = leading.count
    offsets = records[leading.count..<records.count - 1].map(\.dataOffset)
    self.file = file
    try file.resize(to: position)
    for record in records { if let content = record.content { try file.write(content, at: record.dataOffset) } }
  }

  /// Writes local headers, data descriptors and the directory.
  func finish(checksums: [UInt32]) throws(ConversionError) {
    guard checksums.count == offsets.count else {
      throw ConversionError(.internal, "\(checksums.count) checksums for \(offsets.count) storages")
    }
    var directory: [UInt8] = []
    // What lies between two contents is written at once: the descriptor of the first and the header of the second.
    var between: [UInt8] = []
    var position = 0
    var pacer = Interruption.Pacer()
    for (index, record) in records.enumerated() {
      try pacer.step()
      let checksum = record.content.map { Checksum.crc32($0) } ?? checksums[index - firstStorage]
      between += record.localHeader
      try file.write(between, at: position)
      position = record.dataOffset + record.size
      between = record.descriptor(checksum)
      directory += record.directoryEntry(checksum)
    }
    let start = position + between.count
    between += directory
    between += ZipRecord.endRecords(count: records.count, directoryOffset: start, directorySize: directory.count)
    try file.write(between, at: position)
    try file.resize(to: position + between.count)
  }
}
