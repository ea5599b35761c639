import Foundation
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What every store of unfinished uploads must do.
@Suite("Unfinished upload store conformance")
struct PartialUploadStoreConformance {
  private struct Failure: Error {}

  private let folder: TemporaryFolder
  private let uploads: any UploadStore
  private let partials: any PartialUploadStore

  init() throws {
    folder = try TemporaryFolder()
    let database = try Database(path: folder.path.appending("test.sqlite").string)
    uploads = SQLiteUploadStore(database: database)
    partials = SQLitePartialUploadStore(database: database)
  }

  private func add(length: Int? = 7, at time: Int = 5) async throws -> PartialUpload {
    let upload = PartialUpload(
      id: .generate(), name: FileName("x.bin")!, length: length, metadata: "a eA==",
      createdAt: Timestamp(milliseconds: 5), updatedAt: Timestamp(milliseconds: time))
    try await partials.insert(upload)
    return upload
  }

  @Test("A record comes back as it was put in, and goes on")
  func advance() async throws {
    var upload = try await add(length: nil)
    #expect(try await partials.partial(upload.id) == upload)
    #expect(try await partials.advance(upload.id, to: 3, length: 9, at: Timestamp(milliseconds: 8)))
    upload.offset = 3
    upload.length = 9
    upload.updatedAt = Timestamp(milliseconds: 8)
    #expect(try await partials.partial(upload.id) == upload)
    #expect(try partials.partials() == [upload.id])
    #expect(try await partials.delete(upload.id))
    #expect(try await !partials.delete(upload.id))
    #expect(try await !partials.advance(upload.id, to: 4, length: 9, at: .now))
    #expect(try await partials.partial(upload.id) == nil)
  }

  @Test("It becomes an upload in one transaction, or nothing changes")
  func complete() async throws {
    let upload = try await add()
    let finished = Upload(id: upload.id, name: upload.name, size: 7, sha256: "ab", createdAt: upload.createdAt)
    await #expect(throws: Failure.self) { try await partials.complete(finished) { throw Failure() } }
    #expect(try await partials.partial(upload.id) == upload)
    #expect(try await uploads.upload(upload.id) == nil)
    #expect(try await partials.complete(finished) {})
    #expect(try await partials.partial(upload.id) == nil)
    #expect(try await uploads.upload(upload.id) == finished)
    // Deleted meanwhile: the file is not moved.
    let other = try await add()
    _ = try await partials.delete(other.id)
    let late = Upload(id: other.id, name: other.name, size: 7, sha256: "ab", createdAt: other.createdAt)
    #expect(try await !partials.complete(late) { Issue.record("moved") })
    #expect(try await uploads.upload(other.id) == nil)
  }

  @Test("What nothing was added to is stale, until something is")
  func stale() async throws {
    let old = try await add(at: 10)
    let new = try await add(at: 20)
    let moment = Timestamp(milliseconds: 15)
    #expect(try partials.stale(since: moment) == [old.id])
    #expect(try !partials.delete(new.id, staleSince: moment))
    _ = try await partials.advance(old.id, to: 1, length: 7, at: Timestamp(milliseconds: 30))
    #expect(try !partials.delete(old.id, staleSince: moment))
    #expect(try partials.delete(new.id, staleSince: Timestamp(milliseconds: 21)))
  }
}
