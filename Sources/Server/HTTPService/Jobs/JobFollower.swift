import API
import Foundation
import Hummingbird
import Jobs
import NIOCore

/// Waits for changes of one job on behalf of a client.
///
/// A follower looks five times a second: one read by primary key, and progress from memory. That also sees what other
/// code paths, or an operator with `sqlite3`, did to the job, and needs no bookkeeping when clients come and go.
struct JobFollower: Sendable {
  /// A job as it was at one moment.
  struct Snapshot: Sendable {
    let job: Job
    /// The JSON document, one line.
    let json: Data
    /// Of the document: it changes with every change of the job, progress included.
    let tag: EntityTag
  }

  let store: any JobStore
  let running: RunningJobs
  let signal: WorkSignal
  let queue: QueueOrder
  /// Documents as they were encoded last, with what they were made of.
  private let encoded = RecentValues<Identifier, Encoded>(limit: 512)
  /// Bytes of the largest document that is kept there.
  private static let largestKept = 64 << 10

  init(store: any JobStore, running: RunningJobs, signal: WorkSignal, queue: QueueOrder) {
    self.queue = queue
    self.store = store
    self.running = running
    self.signal = signal
  }

  private struct Encoded: Sendable {
    let live: JobProgress?
    let position: Int?
    let snapshot: Snapshot
  }

  /// Pause between two looks.
  static let interval: Duration = .milliseconds(200)
  /// The longest that a client may ask a request to wait.
  static let longestWait = 60
  /// Silence after which an event stream says that it lives; half of what proxies usually bear.
  static let heartbeat: Duration = .seconds(15)

  /// The job now; nil when there is none.
  func snapshot(_ id: Identifier) async throws -> Snapshot? {
    guard let job = try await store.job(id) else { return nil }
    let live = job.status == .running ? running.progress(of: id) : nil
    let position = try await queue.position(of: job)
    if let last = encoded[id], last.live == live, last.position == position, last.snapshot.job == job {
      return last.snapshot
    }
    let json = try JSONBody.encode(JobDocument(job: job, live: live, queuePosition: position))
    let snapshot = Snapshot(job: job, json: json, tag: EntityTag(content: json))
    if json.count <= Self.largestKept { encoded[id] = Encoded(live: live, position: position, snapshot: snapshot) }
    return snapshot
  }

  /// Waits until `isDone`, the time is over, the job is gone or the service stops, and answers the last snapshot.
  func wait(
    for id: Identifier, atMost time: Duration, until isDone: (Snapshot) -> Bool
  ) async throws -> Snapshot? {
    let deadline = ContinuousClock.now + time
    while true {
      guard let snapshot = try await snapshot(id) else { return nil }
      let rest = deadline - .now
      if isDone(snapshot) || rest <= .zero || signal.hasStopped { return snapshot }
      try await Task.sleep(for: min(rest, Self.interval))
    }
  }

  /// The body of an event stream: the job now (unless the client has it), again after each change, and the end of the
  /// body after the event with which the job ended. Comments keep a silent connection alive.
  ///
  /// Each event is the whole job, so nothing is lost between two connections, whatever the client missed.
  func events(of id: Identifier, after lastEvent: String?) -> ResponseBody {
    ResponseBody { writer in
      var seen = lastEvent
      var spokeAt = ContinuousClock.now
      // A client reconnects this soon when the connection breaks.
      try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
      while !signal.hasStopped, let snapshot = try await snapshot(id) {
        if snapshot.tag.eventID != seen {
          var event = ByteBuffer(string: "id: \(snapshot.tag.eventID)\nevent: job\ndata: ")
          event.writeBytes(snapshot.json)
          event.writeString("\n\n")
          try await writer.write(event)
          seen = snapshot.tag.eventID
          spokeAt = .now
        } else if ContinuousClock.now - spokeAt > Self.heartbeat {
          try await writer.write(ByteBuffer(string: ": alive\n\n"))
          spokeAt = .now
        }
        if snapshot.job.status.isEnded { break }
        try await Task.sleep(for: Self.interval)
      }
      try await writer.finish(nil)
    }
  }
}
