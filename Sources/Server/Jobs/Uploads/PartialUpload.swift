package import API

/// An upload that a client sends in several requests, until all of its bytes are there; then it is an `Upload`.
package struct PartialUpload: Sendable, Hashable {
  package let id: Identifier
  package let name: FileName
  /// Bytes of the whole; nil until the client says it.
  package var length: Int?
  /// Bytes that are on the disk for good. The file may be longer: what follows is cut off when the upload goes on.
  package var offset = 0
  /// `Upload-Metadata` as it came, to be told again.
  package let metadata: String
  package let createdAt: Timestamp
  /// When the last bytes arrived.
  package var updatedAt: Timestamp
  /// Who sends it.
  package var ownership = Ownership.nobody

  package init(
    id: Identifier, name: FileName, length: Int? = nil, offset: Int = 0, metadata: String, createdAt: Timestamp,
    updatedAt: Timestamp, ownership: Ownership = Ownership.nobody
  ) {
    self.id = id
    self.name = name
    self.length = length
    self.offset = offset
    self.metadata = metadata
    self.createdAt = createdAt
    self.updatedAt = updatedAt
    self.ownership = ownership
  }
}

/// Where the records of unfinished uploads live; the files are in the `DataFolder`.
///
/// Functions marked `async` are for request handlers, the others block. Each call is one transaction.
package protocol PartialUploadStore: Sendable {
  /// Adds a record. `admit` is told how many bytes its owner stores without it; what it throws is thrown, and nothing is
  /// added.
  func insert(_ upload: PartialUpload, admit: StorageCheck?) async throws

  /// The record, or nil.
  func partial(_ id: Identifier) async throws -> PartialUpload?

  /// Unfinished uploads within reach, newest first, from the one after `cursor` on; at most `limit`.
  func partials(within reach: Reach, after cursor: Identifier?, limit: Int) async throws -> [PartialUpload]

  /// Notes that `offset` bytes are on the disk, and the length if it is known now. False when the record is gone.
  func advance(_ id: Identifier, to offset: Int, length: Int?, at now: Timestamp) async throws -> Bool

  /// Notes the length of an upload that had none. `admit` is as for `insert`; what the upload has by now is among what its
  /// owner stores. False when the record is gone or has a length.
  func announce(_ id: Identifier, length: Int, at now: Timestamp, admit: StorageCheck?) async throws -> Bool

  /// Makes an upload of an unfinished one. `place` moves the file; it runs inside the transaction, and when it throws
  /// nothing has changed. `undo` takes back what `place` did, all or a part, when the transaction fails after it. False
  /// when the record is gone.
  func complete(
    _ upload: Upload, place: @escaping @Sendable () throws -> Void, undo: @escaping @Sendable () -> Void
  ) async throws -> Bool

  /// Removes a record. False when there was none.
  func delete(_ id: Identifier) async throws -> Bool

  /// Uploads that nothing was added to since a moment.
  func stale(since moment: Timestamp) throws -> [Identifier]

  /// Removes a record if it is still one that `stale` answers.
  func delete(_ id: Identifier, staleSince moment: Timestamp) throws -> Bool

  /// The ids of all unfinished uploads. For the sweep at start.
  func partials() throws -> Set<Identifier>
}

extension PartialUploadStore {
  /// Adds a record however much its owner stores.
  package func insert(_ upload: PartialUpload) async throws { try await insert(upload, admit: nil) }

  /// Makes an upload of an unfinished one whose file needs no moving back.
  package func complete(_ upload: Upload, place: @escaping @Sendable () throws -> Void) async throws -> Bool {
    try await complete(upload, place: place, undo: {})
  }
}
