import Glibc
import Synchronization
import SystemPackage

/// A source that is elsewhere, fit for an executor that reads small pieces in any order.
///
/// Long reads go through. The first short read of a storage, as a transpose makes them, or the first part of one that is
/// going to be read again for its checksum, brings the whole storage into a spool: a file without a name beside the
/// outputs, which the kernel removes when its last reader is done. Disk: the capacity, or as many storages as there are
/// threads. Nothing of the input is left when the source goes.
final class SpooledSource: TensorSource {
  var kind: ContainerKind { base.kind }
  var tree: ObjectTree<TensorDescriptor> { base.tree }
  var storages: [StorageDescriptor] { base.storages }

  private let base: any TensorSource
  private let folder: FilePath
  /// Bytes on the disk.
  private let capacity: Int
  /// Storages that are in use at the same time.
  private let readers: Int
  /// Bytes of memory that a storage passes through on its way to the disk; one thread each may be filling one.
  private let piece: Int

  private struct State {
    var spools: [Int: Spool] = [:]
    /// Least recently used first.
    var order: [Int] = []
    var bytes = 0
  }

  private let state = Mutex(State())

  /// Reads of at least so many bytes are worth a request of their own.
  static let longRead = 1 << 20
  /// Bytes of disk that are used unless single storages need more.
  static let standardCapacity = 1 << 30

  /// `folder` is where spools are made, `piece` what each thread may take of memory to fill one. Complexity: O(1).
  init(
    _ base: any TensorSource, folder: String, readers: Int, piece: Int = 1 << 20, capacity: Int = standardCapacity
  ) {
    self.base = base
    self.folder = FilePath(folder)
    self.readers = readers
    self.piece = piece
    self.capacity = capacity
  }

  /// Bytes of disk that spools of storages of these sizes take at most. Complexity: O(storages log storages).
  static func disk(_ sizes: [Int], readers: Int, capacity: Int = standardCapacity) -> Int {
    min(sizes.saturatingSum(), max(capacity, sizes.sorted(by: >).prefix(readers).saturatingSum()))
  }

  func read(
    _ storage: StorageID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ConversionError) {
    let size = storages[storage.index].byteCount
    let (known, isNew) = state.withLock { state -> (Spool?, Bool) in
      if let spool = state.spools[storage.index] {
        state.order.removeAll { $0 == storage.index }
        state.order.append(storage.index)
        return (spool, false)
      }
      // What has a checksum is read twice unless it is read in one go: for its tensor, and to be checked.
      let isReadOnce = storages[storage.index].crc32 == nil
      guard buffer.count < size, buffer.count < Self.longRead || !isReadOnce else { return (nil, false) }
      let spool = Spool()
      state.spools[storage.index] = spool
      state.order.append(storage.index)
      state.bytes += size
      while state.bytes > capacity, state.order.count > readers {
        let oldest = state.order.removeFirst()
        state.spools[oldest] = nil
        state.bytes -= storages[oldest].byteCount
      }
      return (spool, true)
    }
    guard let spool = known else { return try base.read(storage, at: offset, into: buffer) }
    do throws(ConversionError) {
      try spool.read(at: offset, into: buffer, from: base, storage, size: size, folder: folder, piece: piece)
    } catch {
      // The next reader tries afresh.
      if isNew { forget(storage, size: size) }
      throw error
    }
  }

  private func forget(_ storage: StorageID, size: Int) {
    state.withLock { state in
      guard state.spools.removeValue(forKey: storage.index) != nil else { return }
      state.order.removeAll { $0 == storage.index }
      state.bytes -= size
    }
  }
}

/// One storage on the disk. Filled by whoever reads it first, while the others wait.
private final class Spool: Sendable {
  private let file = Mutex<FileDescriptor?>(nil)

  deinit {
    file.withLock { try? $0?.close() }
  }

  func read(
    at offset: Int, into buffer: UnsafeMutableRawBufferPointer, from source: any TensorSource, _ storage: StorageID,
    size: Int, folder: FilePath, piece: Int
  ) throws(ConversionError) {
    let result = file.withLock { file in
      Result { () throws(ConversionError) in
        if let file { return file }
        let filled = try Self.fill(from: source, storage, size: size, folder: folder, piece: piece)
        file = filled
        return filled
      }
    }
    let file = try result.get()
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = (try? file.read(fromAbsoluteOffset: Int64(offset + done), into: rest)) ?? 0
      guard count > 0 else { throw ConversionError(.internal, "what was spooled of the checkpoint cannot be read") }
      done += count
    }
  }

  private static func fill(
    from source: any TensorSource, _ storage: StorageID, size: Int, folder: FilePath, piece: Int
  ) throws(ConversionError) -> FileDescriptor {
    let file = try create(in: folder)
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: min(size, piece), alignment: 64)
    defer { piece.deallocate() }
    var done = 0
    do throws(ConversionError) {
      while done < size {
        let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, size - done)])
        try source.read(storage, at: done, into: part)
        do {
          try file.writeAll(toAbsoluteOffset: Int64(done), part)
        } catch {
          let isFull = error as? Errno == .noSpace || error as? Errno == .diskQuotaExceeded
          throw ConversionError(
            isFull ? .diskFull : .outputFailed, "no space is left to spool a tensor of \(size) bytes",
            cause: "\(error)")
        }
        done += part.count
      }
    } catch {
      try? file.close()
      throw error
    }
    return file
  }

  private static func create(in folder: FilePath) throws(ConversionError) -> FileDescriptor {
    let path = folder.appending(".zooport-spool-\(UInt64.random(in: 0 ... .max))")
    do {
      let file = try FileDescriptor.open(
        path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: [.ownerReadWrite])
      unlink(path.string)
      return file
    } catch {
      throw ConversionError(.outputFailed, "a tensor cannot be spooled beside the outputs", cause: "\(path): \(error)")
    }
  }
}
