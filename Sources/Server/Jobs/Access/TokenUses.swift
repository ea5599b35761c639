package import API
package import Logging
import ServiceLifecycle
import Synchronization

/// Stores when tokens were last used. It has no other duty.
///
/// Requests leave a note and go on: a database that is held, or a disk that is full, keeps no reader waiting.
package final class TokenUses: Service {
  private let tokens: any TokenStore
  private let logger: Logger
  /// Notes that are not stored yet.
  private let notes = Mutex<[Identifier: Timestamp]>([:])

  /// How old a stored use may be before it is stored again.
  private static let age: Duration = .seconds(60)
  /// Pause between two rounds; `zooport token list` lags behind by this much.
  private static let interval: Duration = .seconds(2)

  package init(tokens: any TokenStore, logger: Logger) {
    self.tokens = tokens
    self.logger = logger
  }

  /// Leaves a note, unless the use that is stored is of the last minute, or of the future: the clock was set back.
  package func note(_ token: AccessToken, at now: Timestamp) {
    if let last = token.lastUsedAt, last <= now, now < last.advanced(by: Self.age) { return }
    notes.withLock { $0[token.id] = now }
  }

  package func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        await self.store()
        try? await Task.sleep(for: Self.interval)
      }
    }
    await store()
  }

  /// Stores all notes. One that cannot be stored is lost; the next use leaves another.
  package func store() async {
    let batch = notes.withLock { notes in
      defer { notes = [:] }
      return notes
    }
    do {
      for (token, time) in batch { try await tokens.noteUse(of: token, at: time) }
    } catch {
      logger.warning("uses of tokens not stored", metadata: ["cause": "\(error)"])
    }
  }
}
