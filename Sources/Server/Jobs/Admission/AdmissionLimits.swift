/// How much may wait, run and be kept. Nil is no limit. Limits of a token hold for all that belongs to its name.
package struct AdmissionLimits: Sendable {
  /// Queued jobs of everybody.
  package var queue: Int? = 10_000
  /// Queued jobs of one token.
  package var queuePerToken: Int? = 1000
  /// Jobs of one token that run at a time; further ones wait while those of others go ahead.
  package var runningPerToken: Int?
  /// Bytes of uploads and outputs of one token.
  package var storagePerToken: Int?

  package init(
    queue: Int? = 10_000, queuePerToken: Int? = 1000, runningPerToken: Int? = nil, storagePerToken: Int? = nil
  ) {
    self.queue = queue
    self.queuePerToken = queuePerToken
    self.runningPerToken = runningPerToken
    self.storagePerToken = storagePerToken
  }
}

/// How much there is already, in the transaction that would add to it. Each number is counted when it is asked for: only a
/// limit that is set has its price.
package struct AdmissionLoad {
  /// Queued jobs of everybody, the new one included. Complexity: O(n) in these.
  package let queued: () throws -> Int
  /// Queued jobs of the owner, the new one included. Complexity: O(n) in the queued jobs of everybody.
  let ownQueued: () throws -> Int
  /// Bytes of uploads and outputs of the owner, with what queued and running jobs are expected to add, but for the new one.
  /// Complexity: O(n) in these, 2 ms for a thousand jobs.
  let ownBytes: () throws -> Int

  package init(
    queued: @escaping () throws -> Int, ownQueued: @escaping () throws -> Int, ownBytes: @escaping () throws -> Int
  ) {
    self.queued = queued
    self.ownQueued = ownQueued
    self.ownBytes = ownBytes
  }
}
