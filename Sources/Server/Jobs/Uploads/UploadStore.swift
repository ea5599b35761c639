package import API

/// Where the records of uploads live; the files are in the `DataFolder`.
package protocol UploadStore: Sendable {
  /// Adds a record. `admit` is told how many bytes its owner stores without it; what it throws is thrown, and nothing is
  /// added.
  func insert(_ upload: Upload, admit: StorageCheck?) async throws

  /// The record, or nil.
  func upload(_ id: Identifier) async throws -> Upload?

  /// Uploads within reach, newest first, from the one after `cursor` on; at most `limit`.
  func uploads(within reach: Reach, after cursor: Identifier?, limit: Int) async throws -> [Upload]

  /// Bytes of all uploads and outputs of an owner, and of the outputs that are expected of queued and running jobs.
  func storedBytes(of owner: String) async throws -> Int

  /// Removes a record unless a queued or running job needs it.
  func delete(_ id: Identifier) async throws -> UploadDeletion

  /// Uploads that arrived before a moment and that no job used since; never one that a queued or running job needs.
  func expired(unusedSince moment: Timestamp) throws -> [Identifier]

  /// Removes an upload if it is still one that `expired` answers.
  func delete(_ id: Identifier, unusedSince moment: Timestamp) throws -> Bool

  /// The ids of all uploads, those that came with a job included. For the sweep at start.
  func uploads() throws -> Set<Identifier>
}

extension UploadStore {
  /// Adds a record however much its owner stores.
  package func insert(_ upload: Upload) async throws { try await insert(upload, admit: nil) }
}

/// What came of a deletion.
package enum UploadDeletion: Sendable, Hashable {
  case deleted
  /// A queued or running job needs the upload.
  case inUse(by: Identifier)
  case missing
}
