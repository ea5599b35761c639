import API
import Jobs
import Synchronization

/// Which unfinished uploads are being written to, and the digests of those that wait. In memory: one process serves a
/// folder, and a digest that is lost is made again from the file.
final class UploadSessions: Sendable {
  private struct State {
    var active: [Identifier: Holder] = [:]
    var digests: [Identifier: PrefixDigest] = [:]
  }

  private struct Holder {
    weak var turn: Turn?
  }

  private let state = Mutex(State())

  /// Digests that are kept. One has a hundred bytes; beyond this number some are made again from the file.
  private static let limit = 10_000
  /// A holder from which nothing has come for so long is taken for dead as soon as somebody else comes.
  private static let silence: Duration = .seconds(1)
  /// How long somebody waits for a holder to store what it has and to end.
  private static let patience: Duration = .seconds(10)
  private static let look: Duration = .milliseconds(50)

  /// Takes the only right to write to an upload. Nil when another request has it. `ending` closes the connection of the
  /// request, should another one need the right.
  func begin(_ id: Identifier, ending: @escaping @Sendable () -> Void) -> Turn? {
    state.withLock { state in
      guard state.active[id] == nil else { return nil }
      let turn = Turn(sessions: self, id: id, ending: ending)
      state.active[id] = Holder(turn: turn)
      return turn
    }
  }

  /// The same, but a holder that is silent has to go: a connection that was lost without a word looks like a client that
  /// takes its time, and its client is the one who asks. What has come is stored first. Nil at once when the holder is seen
  /// to receive one piece after the other, and when it does not end in time.
  func take(_ id: Identifier, ending: @escaping @Sendable () -> Void) async throws -> Turn? {
    let start = ContinuousClock.now
    var first: Int?
    while true {
      if let turn = begin(id, ending: ending) { return turn }
      if let holder = state.withLock({ $0.active[id]?.turn }) {
        let (pieces, waits) = holder.activity
        first = first ?? pieces
        // A single one may have been under way when the connection was lost.
        guard pieces - (first ?? pieces) < 2 else { return nil }
        if waits > Self.silence { holder.end() }
      }
      guard .now - start < Self.patience else { return nil }
      try await Task.sleep(for: Self.look)
    }
  }

  /// The right to write to an upload; gives it back with its last reference, however the request ended.
  final class Turn: Sendable {
    private struct Activity {
      /// Pieces that have come.
      var pieces = 0
      /// Since when the next one is waited for; nil while the last one is dealt with.
      var waitsSince: ContinuousClock.Instant?
    }

    private let sessions: UploadSessions
    private let id: Identifier
    private let ending: @Sendable () -> Void
    private let state = Mutex(Activity())

    fileprivate init(sessions: UploadSessions, id: Identifier, ending: @escaping @Sendable () -> Void) {
      self.sessions = sessions
      self.id = id
      self.ending = ending
    }

    deinit { sessions.state.withLock { _ = $0.active.removeValue(forKey: id) } }

    /// The holder waits for bytes from here on.
    func waits() { state.withLock { $0.waitsSince = .now } }

    /// They have come.
    func received() {
      state.withLock { state in
        state.pieces += 1
        state.waitsSince = nil
      }
    }

    fileprivate var activity: (pieces: Int, waits: Duration) {
      state.withLock { ($0.pieces, $0.waitsSince.map { .now - $0 } ?? .zero) }
    }

    fileprivate func end() { ending() }

    /// The digest of the beginning of the file, for whoever writes on; nil when it was lost.
    func takeDigest() -> PrefixDigest? { sessions.state.withLock { $0.digests.removeValue(forKey: id) } }

    /// Keeps the digest for the next request.
    func keep(_ digest: PrefixDigest) {
      sessions.state.withLock { state in
        if state.digests.count >= UploadSessions.limit { _ = state.digests.popFirst() }
        state.digests[id] = digest
      }
    }
  }
}
