import API
import HTTPTypes
import Jobs
import NIOCore
import SystemPackage

/// Adds the bytes of one request to an unfinished upload. Not for concurrent use.
///
/// Bytes count once they are synced and their number is committed: that happens every 64 MiB, every five seconds, and at
/// the end of the request, however it ends. So an offset that a client was told never shrinks, whatever fails, and a
/// process that is killed loses what the last seconds brought. With a checksum the bytes count at the end only, all or
/// none.
final class PartialUploadReceiver {
  private let store: any PartialUploadStore
  private let folder: DataFolder
  /// Throws `Fault` when what is stored by now is too much.
  private let admit: @Sendable () async throws -> Void
  private let turn: UploadSessions.Turn
  private let file: UploadFile
  private var upload: PartialUpload
  /// Bytes that the upload may have.
  private let limit: Int
  private var checksum: UploadChecksum?
  private var pending = ByteBuffer()
  private var checkpoint: UploadCheckpoint
  private let start: (size: Int, digest: PrefixDigest)

  private static let batch = 1 << 20

  /// Opens the file at the offset of `upload`. `limit` is the most bytes that an upload may have; `admit` is asked each time
  /// that bytes were stored and more will come.
  init(
    _ upload: PartialUpload, turn: UploadSessions.Turn, store: any PartialUploadStore, folder: DataFolder,
    limit: Int, checksum: UploadChecksum?,
    admit: @escaping @Sendable () async throws -> Void
  ) async throws {
    self.store = store
    self.folder = folder
    self.admit = admit
    self.turn = turn
    self.upload = upload
    self.limit = upload.length ?? limit
    self.checksum = checksum
    do {
      file = try await UploadReceiver.blocking {
        try UploadFile(resuming: folder.partial(upload.id, upload.name), at: upload.offset, digest: turn.takeDigest())
      }
    } catch Errno.noSuchFileOrDirectory {
      // Deleted since the record was read.
      throw Self.gone
    }
    start = (file.size, file.digest)
    checkpoint = UploadCheckpoint(at: file.size)
  }

  /// Bytes that arrived in this request.
  var received: Int { file.size + pending.readableBytes - start.size }

  /// Takes the next bytes. Throws `Fault` beyond the length, 410 when the upload was deleted meanwhile, 507 when the
  /// disk is full.
  func receive(_ buffer: ByteBuffer) async throws {
    guard start.size + received + buffer.readableBytes <= limit else {
      throw Fault.tooLarge(upload.length == nil ? "an upload" : "this upload", limit: limit)
    }
    pending.writeImmutableBuffer(buffer)
    guard pending.readableBytes >= Self.batch else { return }
    try await flush()
    guard checkpoint.isDue(at: file.size), file.size != upload.length else { return }
    if checksum == nil { try await commit() } else { try await synchronize() }
    try await admit()
  }

  /// Ends a request that broke off or failed: what arrived counts, unless it has a checksum. Never throws; what cannot be
  /// stored is sent again.
  func interrupt() async {
    do {
      if checksum != nil {
        try await rollBack()
      } else {
        try await flush()
        if file.size == upload.length {
          _ = try await finish()
        } else {
          try await commit()
        }
      }
    } catch {
      // The committed offset stays, and what follows it is cut off by the next request.
    }
    turn.keep(file.digest)
  }

  /// Ends a request whose body arrived whole. Answers the finished upload, or nil when bytes are missing still.
  ///
  /// Throws `Fault` when the checksum differs; nothing of the request counts then.
  func end() async throws -> Upload? {
    try await flush()
    if let checksum, !checksum.matches {
      throw Self.mismatch(from: start.size)
    }
    checksum = nil
    guard upload.length == file.size else {
      try await commit()
      turn.keep(file.digest)
      return nil
    }
    return try await finish()
  }

  /// Makes an upload of it. The committed offset reaches the length in the transaction that does so and not before: there
  /// is no upload that is complete and yet unusable.
  private func finish() async throws -> Upload {
    let (store, folder, file, upload) = (store, folder, file, upload)
    // In pieces, so that the arrears of 100 GB do not keep a thread of the pool from everybody else.
    while try await UploadReceiver.blocking({ try file.hashArrears() }) {}
    let sha256 = try await UploadReceiver.blocking { try file.close() }
    let result = Upload(
      id: upload.id, name: upload.name, size: file.size, sha256: sha256, createdAt: .now, metadata: upload.metadata,
      ownership: upload.ownership)
    let isThere = try await store.complete(
      result, place: { try folder.acceptPartial(upload.id) }, undo: { folder.returnPartial(upload.id) })
    guard isThere else { throw Self.gone }
    return result
  }

  private func flush() async throws {
    guard pending.readableBytes > 0 else { return }
    let batch = pending
    pending = ByteBuffer()
    checksum = try await UploadReceiver.blocking { [file, checksum] in
      var checksum = checksum
      checksum?.update(batch)
      try file.append(batch)
      return checksum
    }
  }

  /// Syncs what was written and commits the offset.
  private func commit() async throws {
    try await synchronize()
    guard try await store.advance(upload.id, to: file.size, length: upload.length, at: .now) else { throw Self.gone }
    upload.offset = file.size
  }

  private func synchronize() async throws {
    try await UploadReceiver.blocking { [file] in try file.synchronize() }
    checkpoint.reached(file.size)
  }

  private func rollBack() async throws {
    pending = ByteBuffer()
    try await UploadReceiver.blocking { [file, start] in try file.roll(backTo: start.size, digest: start.digest) }
  }

  /// What a client is told when bytes differ from what it announced.
  static func mismatch(from offset: Int) -> Fault {
    Fault(
      .checksumMismatch,
      "the bytes do not have the announced checksum; send them again from \(offset) on")
  }

  /// What a client is told when the upload was deleted or expired.
  static let gone = Fault(.gone, "the upload was deleted or has expired; create a new one")
}
