/// How much may wait, run and be kept. Nil is no limit. Limits of a token hold for all that belongs to its name.
struct AdmissionLimits: Sendable {
  /// Queued jobs of everybody.
  var queue: Int? = 10_000
  /// Queued jobs of one token.
  var queuePerToken: Int? = 1000
  /// Jobs of one token that run at a time; further ones wait while those of others go ahead.
  var runningPerToken: Int?
  /// Bytes of uploads and outputs of one token.
  var storagePerToken: Int?
}

/// How much there is already, in the transaction that would add to it. Each number is counted when it is asked for: only a
/// limit that is set has its price.
struct AdmissionLoad {
  /// Queued jobs of everybody, the new one included. Complexity: O(n) in these.
  let queued: () throws -> Int
  /// Queued jobs of the owner, the new one included. Complexity: O(n) in the queued jobs of everybody.
  let ownQueued: () throws -> Int
  /// Bytes of uploads and outputs of the owner, with what queued and running jobs are expected to add, but for the new one.
  /// Complexity: O(n) in these, 2 ms for a thousand jobs.
  let ownBytes: () throws -> Int
}
