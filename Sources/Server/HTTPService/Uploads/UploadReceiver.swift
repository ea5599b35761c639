import API
import Core
import Inputs
import Jobs
import NIOCore
import SystemPackage

/// Writes one upload to disk as it arrives, hashing it on the way.
///
/// Bytes are gathered to 1 MiB and then written on the threads for files, so memory is constant and the cooperative pool
/// is never blocked. At each checkpoint they are synced, so that the last sync is short, and `admit` is asked whether more
/// may come. Use: `receive` for each piece, then `finish`; or `discard`. Not for concurrent use.
final class UploadReceiver {
  private let folder: DataFolder
  private let id: Identifier
  private let name: FileName
  private let limit: Int
  private let admit: Admit
  private let file: UploadFile
  private var checkpoint = UploadCheckpoint()
  private var pending = ByteBuffer()
  private var size = 0

  private static let batch = 1 << 20

  /// Throws `Fault` when a file of `bytes` so far may not grow.
  typealias Admit = @Sendable (_ bytes: Int) async throws -> Void

  /// Creates the hidden file. `limit` is the largest number of bytes taken.
  init(name: FileName, folder: DataFolder, limit: Int, admit: @escaping Admit) async throws {
    let id = Identifier.generate()
    self.folder = folder
    self.id = id
    self.name = name
    self.limit = limit
    self.admit = admit
    file = try await Self.blocking { try UploadFile(creating: folder.makeIncoming(id, name)) }
  }

  /// Takes the next bytes. Throws `Fault` over the limit, 507 when the disk is full, and what `admit` throws.
  func receive(_ buffer: ByteBuffer) async throws {
    size += buffer.readableBytes
    guard size <= limit else { throw Fault.tooLarge("a file", limit: limit) }
    pending.writeImmutableBuffer(buffer)
    guard pending.readableBytes >= Self.batch else { return }
    try await flush()
    guard checkpoint.isDue(at: file.size) else { return }
    try await Self.blocking { [file] in try file.synchronize() }
    checkpoint.reached(file.size)
    try await admit(file.size)
  }

  /// Syncs the file and moves it to its place. The caller adds the record, or removes the file.
  func finish() async throws -> Upload {
    try await flush()
    let sha256 = try await Self.blocking { [folder, id, file] in
      let digest = try file.close()
      try folder.acceptIncoming(id)
      return digest
    }
    return Upload(id: id, name: name, size: size, sha256: sha256, createdAt: .now)
  }

  /// Removes what has been written.
  func discard() async {
    await FileThreads.clear { [folder, id] in folder.discardIncoming(id) }
  }

  private func flush() async throws {
    guard pending.readableBytes > 0 else { return }
    let batch = pending
    pending = ByteBuffer()
    try await Self.blocking { [file] in try file.append(batch) }
  }

  /// Runs work on the threads for files. A full disk becomes `Fault`.
  static func blocking<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    do {
      return try await FileThreads.run(work)
    } catch  where error.isOutOfSpace {
      throw Fault(.diskFull, "no space is left for the upload; delete jobs or uploads and try again")
    }
  }
}
