import API
import Core
import Inputs
import Jobs
import NIOPosix
import Synchronization

/// Whether the service can do its work now: what an orchestrator asks before it sends requests.
///
/// A check commits to the database. So its result is kept for a second, and whoever asks meanwhile waits for the same check:
/// asking often costs nothing, least of all when the database is slow.
final class Readiness: Sendable {
  /// One check as clients see it.
  struct Check: Codable, Sendable, Hashable {
    let name: String
    let ok: Bool
    /// What is wrong, safe to show; empty when nothing is.
    let detail: String
  }

  /// A worker that could not look for work once may have met a backup; it looks again after two seconds.
  private static let misses = 3

  private let store: any JobStore
  private let vitals: WorkerVitals
  private let signal: WorkSignal
  private let space: FreeSpace
  private let workers: Int
  private let lease: Duration
  /// All checks made once; without an end they are under way still. No caller's child: others wait for the same.
  private struct Look {
    let task: Task<[Check], Never>
    var end: ContinuousClock.Instant?
  }

  private let newest = Mutex<Look?>(nil)

  init(
    store: any JobStore, vitals: WorkerVitals, signal: WorkSignal, space: FreeSpace, workers: Int, lease: Duration
  ) {
    self.store = store
    self.vitals = vitals
    self.signal = signal
    self.space = space
    self.workers = workers
    self.lease = lease
  }

  /// All checks, at most a second old.
  func checks() async -> [Check] {
    let task = newest.withLock { newest in
      if let newest, newest.end.map({ ContinuousClock.now - $0 < .seconds(1) }) ?? true { return newest.task }
      let task = Task {
        let checks = [await database(), workerThreads(), await disk()]
        self.newest.withLock { $0?.end = .now }
        return checks
      }
      newest = Look(task: task)
      return task
    }
    return await task.value
  }

  private func database() async -> Check {
    do {
      try await store.probe(at: .now)
      return Check(name: "database", ok: true, detail: "")
    } catch {
      return Check(name: "database", ok: false, detail: "the database takes no writes")
    }
  }

  private func workerThreads() -> Check {
    if signal.hasStopped { return Check(name: "workers", ok: false, detail: "the service stops") }
    let alive = vitals.alive
    guard alive == workers else {
      return Check(name: "workers", ok: false, detail: "\(alive) of \(workers) workers live")
    }
    let blind = vitals.missing(Self.misses)
    guard blind == 0 else {
      return Check(name: "workers", ok: false, detail: "\(blind) of \(workers) workers cannot read the queue")
    }
    guard let age = vitals.sinceLeasesKept, age < lease else {
      return Check(name: "workers", ok: false, detail: "leases are not extended")
    }
    return Check(name: "workers", ok: true, detail: "")
  }

  private func disk() async -> Check {
    let space = space
    let available = try? await NIOThreadPool.singleton.runIfActive { try space.available() }
    guard let available else { return Check(name: "disk", ok: false, detail: "free space cannot be read") }
    let isEnough = available >= space.floor
    return Check(
      name: "disk", ok: isEnough, detail: isEnough ? "" : "\(available) bytes are free; the floor is \(space.floor)")
  }
}
