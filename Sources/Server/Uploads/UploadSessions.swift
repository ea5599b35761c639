import Synchronization

/// Which unfinished uploads are being written to, and the digests of those that wait. In memory: one process serves a
/// folder, and a digest that is lost is made again from the file.
final class UploadSessions: Sendable {
  private struct State {
    var active: Set<Identifier> = []
    var digests: [Identifier: PrefixDigest] = [:]
  }

  private let state = Mutex(State())

  /// Digests that are kept. One has a hundred bytes; beyond this number some are made again from the file.
  private static let limit = 10_000

  /// Takes the only right to write to an upload, and the digest so far. Nil when another request has it.
  func begin(_ id: Identifier) -> Turn? {
    state.withLock { state in
      guard state.active.insert(id).inserted else { return nil }
      return Turn(sessions: self, id: id, digest: state.digests.removeValue(forKey: id))
    }
  }

  /// The right to write to an upload; gives it back with its last reference, however the request ended.
  final class Turn: Sendable {
    private let sessions: UploadSessions
    private let id: Identifier
    /// Of the beginning of the file; nil when it was lost.
    let digest: PrefixDigest?

    fileprivate init(sessions: UploadSessions, id: Identifier, digest: PrefixDigest?) {
      self.sessions = sessions
      self.id = id
      self.digest = digest
    }

    deinit { sessions.state.withLock { _ = $0.active.remove(id) } }

    /// Keeps the digest for the next request.
    func keep(_ digest: PrefixDigest) {
      sessions.state.withLock { state in
        if state.digests.count >= UploadSessions.limit { _ = state.digests.popFirst() }
        state.digests[id] = digest
      }
    }
  }
}
