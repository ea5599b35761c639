/// Reads HDF5 metadata while a file is opened. Counts what it reads against `Limits.hdf5MetadataBytes`, and remembers
/// heap collections, which many attributes share.
///
/// Used by one thread. Memory is at most 32 MiB of cached heaps, or the largest single heap where that is more.
final class HDF5MetadataReader {
  let file: HDF5File
  private var bytesLeft: Int
  private var pacer = Interruption.Pacer()
  private var heaps: [Int: HDF5HeapCollection] = [:]
  private var cachedHeapBytes = 0

  /// A reader with its whole budget.
  init(file: HDF5File) {
    self.file = file
    bytesLeft = file.limits.hdf5MetadataBytes
  }

  /// A cursor over `count` bytes at an address, charged to the budget.
  func block(at address: Int, count: Int, what: String) throws(ConversionError) -> HDF5Cursor {
    try pacer.step()
    if count > 1 << 20, count <= file.input.size { try file.limits.take(count) }
    let cursor = try file.block(at: address, count: count, what: what)
    bytesLeft -= count
    guard bytesLeft >= 0 else {
      throw file.damaged("its HDF5 metadata refers to more than \(file.limits.hdf5MetadataBytes) bytes")
    }
    return cursor
  }

  /// The bytes of one object of a global heap.
  func heapObject(at address: Int, index: Int) throws(ConversionError) -> ArraySlice<UInt8> {
    if let heap = heaps[address] { return try heap.object(index) }
    let heap = try HDF5HeapCollection(at: address, reader: self)
    if cachedHeapBytes + heap.byteCount > 32 << 20 {
      heaps.removeAll()
      cachedHeapBytes = 0
    }
    heaps[address] = heap
    cachedHeapBytes += heap.byteCount
    return try heap.object(index)
  }
}

/// A collection of a global heap (`GCOL`): where the values of variable-length strings lie.
struct HDF5HeapCollection {
  private let block: HDF5Cursor
  private let objects: [Int: Range<Int>]

  /// Bytes of the collection.
  var byteCount: Int { block.end }

  /// Reads a collection and finds its objects. Complexity: O(bytes).
  init(at address: Int, reader: HDF5MetadataReader) throws(ConversionError) {
    var header = try reader.block(at: address, count: 16, what: "global heap")
    try header.expect(signature: "GCOL")
    try header.skip(4)
    let size = try header.length()
    guard size >= 16 else { throw reader.file.damaged("a global heap of \(size) bytes") }
    block = try reader.block(at: address, count: size, what: "global heap")
    var cursor = try block.seeking(to: 16)
    var objects: [Int: Range<Int>] = [:]
    while cursor.remaining >= 16 {
      let index = try cursor.u16()
      try cursor.skip(6)
      let length = try cursor.length()
      // Object 0 is the free space at the end.
      if index == 0 { break }
      guard length <= cursor.remaining else { throw reader.file.damaged("an object in a global heap is too long") }
      objects[index] = cursor.position..<cursor.position + length
      try cursor.skip(length)
      try cursor.skip(min((8 - length % 8) % 8, cursor.remaining))
    }
    self.objects = objects
  }

  /// The bytes of one object.
  func object(_ index: Int) throws(ConversionError) -> ArraySlice<UInt8> {
    guard let range = objects[index] else {
      throw ConversionError(.hostileInput, "\(block.path) is damaged: a global heap has no object \(index)")
    }
    var cursor = try block.seeking(to: range.lowerBound)
    return try cursor.bytes(range.count)
  }
}
