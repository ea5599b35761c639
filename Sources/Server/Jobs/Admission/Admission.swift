import API
package import Inputs

/// Throws when an owner may not store more; told how many bytes there are. A store calls it in the transaction that adds to
/// them, so that two requests at once cannot both pass.
package typealias StorageCheck = @Sendable (_ stored: Int) throws -> Void

/// Decides whether there is room for one more job or upload, and says which limit stands in the way if not.
///
/// Nothing is reserved: limits of the queue are exact, since they are checked in the transaction that adds the job;
/// bytes are checked against what is there now.
package struct Admission: Sendable {
  package let limits: AdmissionLimits
  package let space: FreeSpace

  package init(limits: AdmissionLimits, space: FreeSpace) {
    self.limits = limits
    self.space = space
  }

  /// Seconds after which a refused client may ask again: queues and disks do not empty sooner.
  private static let pause: Duration = .seconds(30)

  /// Throws `Fault` when a job may not be queued. `bytes` is what its outputs are expected to take. Blocks
  /// for a call into the file system.
  package func admit(_ job: Job, needing bytes: Int, _ load: AdmissionLoad) throws {
    if let limit = limits.queue, try load.queued() > limit {
      throw Self.tooMany(.queue, limit, "\(limit) jobs are waiting, which is all that the service queues")
    }
    if let owner = job.ownership.owner {
      if let limit = limits.queuePerToken, try load.ownQueued() > limit {
        throw Self.tooMany(
          .queuePerToken, limit, "\(limit) jobs of \(owner) are waiting, which is all that a token may queue")
      }
      if limits.storagePerToken != nil { try requireStorage(for: owner, stored: load.ownBytes(), adding: bytes) }
    }
    try space.require(bytes, for: "the job")
  }

  /// Throws `Fault` when what an owner stores would grow over the limit of a token.
  package func requireStorage(for owner: String, stored: Int, adding bytes: Int) throws {
    let (sum, isTooMuch) = stored.addingReportingOverflow(bytes)
    guard let limit = limits.storagePerToken, isTooMuch || sum > limit else { return }
    throw Fault(
      .limitReached,
      "\(owner) would store \(isTooMuch ? .max : sum) bytes with this; a token may store \(limit); delete jobs or uploads",
      limit: .init(name: .storagePerToken, value: limit), retryAfter: Self.pause)
  }

  /// The same for the caller of a request, off the cooperative pool.
  package func requireStorage(_ bytes: Int, of principal: Principal, in uploads: any UploadStore) async throws {
    guard let owner = principal.ownership.owner, limits.storagePerToken != nil else { return }
    try requireStorage(for: owner, stored: try await uploads.storedBytes(of: owner), adding: bytes)
  }

  /// What a store checks before it adds `bytes` to what an owner has; nil when nothing is limited.
  package func storageCheck(_ bytes: Int, of owner: String?) -> StorageCheck? {
    guard let owner, limits.storagePerToken != nil else { return nil }
    return { stored in try requireStorage(for: owner, stored: stored, adding: bytes) }
  }

  private static func tooMany(_ name: Fault.Limit.Name, _ value: Int, _ detail: String) -> Fault {
    Fault(
      .limitReached, "\(detail); try again when some have ended", limit: .init(name: name, value: value),
      retryAfter: pause)
  }
}
