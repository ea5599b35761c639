import Foundation
import Testing

@testable import Core

/// Sizes at which 32 bits, 16 bits or the number of open files run out. The files are sparse.
@Suite(.serialized) struct LargeFileTests {
  /// A tensor of 5 GiB with another one behind it: offsets and sizes beyond 32 bits in every field that has them.
  @Test(arguments: [ContainerKind.torchZip, .safetensors, .hdf5]) func holdsTensorsOfMoreThan4GiB(kind: ContainerKind)
    throws
  {
    let folder = try TemporaryFolder()
    let large = 5 << 30
    let tree = ObjectTree.dictionary(
      [
        .init(.string("large"), .tensor(OutputTensor(dtype: .uint8, shape: [5, 1 << 30], storage: 0))),
        .init(.string("small"), .tensor(OutputTensor(dtype: .int32, shape: [2], storage: 1))),
      ], ordered: true)
    let sink = try kind.writer.init(
      file: StagedFile(path: folder.file("large")), layout: SinkLayout(tree: tree, storages: [large, 8]))
    let places = [sink.offsets[0] + large - 4, sink.offsets[1]]
    try sink.file.write([1, 2, 3, 4], at: places[0])
    try sink.file.write([5, 0, 0, 0, 6, 0, 0, 0], at: places[1])
    // The sum of 5 GiB is left out: a sum of 0 says that a torch archive has none.
    try sink.finish(checksums: sink.needsChecksums ? [0, 0] : [])
    try sink.file.publish(durably: false)

    let source = try Checkpoint.open(path: folder.file("large"))
    #expect(source.kind == kind)
    guard case .tensor(let first)? = source.tree["large"], case .tensor(let second)? = source.tree["small"] else {
      Issue.record("a tensor is missing")
      return
    }
    #expect(first.shape == [5, 1 << 30])
    #expect(source.storages[first.storage.index].byteCount == large)
    #expect(try source.elements(second) == [5, 0, 0, 0, 6, 0, 0, 0])
    var end = [UInt8](repeating: 0, count: 4)
    try end.withUnsafeMutableBytes { try source.read(first.storage, at: large - 4, into: $0) }
    #expect(end == [1, 2, 3, 4])
  }

  /// More entries than a zip directory counts in 16 bits, and more tensors than a process may have files open.
  @Test(arguments: [ContainerKind.torchZip, .safetensors, .hdf5]) func holds100000Tensors(kind: ContainerKind) throws {
    let folder = try TemporaryFolder()
    let count = 100_000
    let tensors = (0..<count).map { index in
      ObjectTree<OutputTensor>.Entry(
        .string("layers.\(index).weight"), .tensor(OutputTensor(dtype: .int32, shape: [1], storage: index)))
    }
    let layout = SinkLayout(tree: .dictionary(tensors, ordered: true), storages: .init(repeating: 4, count: count))
    let sink = try kind.writer.init(file: StagedFile(path: folder.file("many")), layout: layout)
    func bytes(_ index: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: index >> (8 * $0)) } }
    for index in 0..<count { try sink.file.write(bytes(index), at: sink.offsets[index]) }
    try sink.finish(checksums: sink.needsChecksums ? (0..<count).map { Checksum.crc32(bytes($0)) } : [])
    try sink.file.publish(durably: false)

    let source = try Checkpoint.open(path: folder.file("many"))
    var wrong: [String] = []
    var found = 0
    source.tree.forEachLeaf { path, leaf in
      guard case .tensor(let tensor) = leaf, let index = Int(path.split(separator: ".")[1]) else { return }
      found += 1
      if (try? source.elements(tensor)) != bytes(index) { wrong.append(path) }
    }
    #expect(found == count)
    #expect(wrong.isEmpty)
  }
}

extension ContainerKind {
  /// What writes the container.
  var writer: any TensorSink.Type {
    switch self {
    case .torchZip, .torchLegacy: TorchZipWriter.self
    case .safetensors: SafetensorsWriter.self
    case .hdf5: HDF5Writer.self
    }
  }
}
