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

/// How much there is already, counted in the transaction that would add to it.
struct AdmissionLoad: Sendable, Hashable {
  /// Queued jobs of everybody, the new one included.
  var queued = 0
  /// Queued jobs of the owner, the new one included.
  var ownQueued = 0
  /// Bytes of uploads and outputs of the owner.
  var ownBytes = 0
}

/// A limit that a request ran into, as clients see it.
struct LimitDocument: Codable, Hashable, Sendable {
  /// The setting that the operator would change.
  let name: String
  let value: Int
}
