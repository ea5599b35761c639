import API
import APIClient
import ArgumentParser
import Core
import Foundation
import HTTPTypes
import Inputs
import SystemPackage

/// Follows a job to its end and says how it went, in the words of `convert`.
struct JobWatcher {
  let client: ServiceClient
  /// Nil when standard error is no terminal, or nobody wants to see it.
  let bar: ProgressBar?

  /// Seconds that one request waits for news.
  private static let wait = 30
  /// Between two requests at least: a server that is stopping, or a proxy that takes the wish to wait off, answers at once.
  private static let pace: Duration = .seconds(1)

  init(client: ServiceClient, showsProgress: Bool) {
    self.client = client
    bar = showsProgress && isatty(STDERR_FILENO) == 1 ? ProgressBar() : nil
  }

  /// Waits for the end of a job, by long polls that survive lost connections. Throws `ClientFailure` only when the server
  /// does not know the job or cannot be reached.
  func follow(_ path: String) throws -> RemoteJob {
    var tag: String?
    return try client.insisting { attempts in
      while true {
        let next = ContinuousClock.now + Self.pace
        var headers = [(name: "Prefer", value: "wait=\(Self.wait)")]
        if let tag { headers.append(("If-None-Match", tag)) }
        let answer = try client.check(client.once(.get, path, headers: headers), accepting: [304])
        attempts.progressed()
        if answer.head.status == 200 {
          tag = answer.head.headers[.eTag]
          let job = try client.decode(RemoteJob.self, answer)
          if job.status.isEnded {
            bar?.clear()
            return job
          }
          if let progress = job.conversionProgress { bar?.show(progress) }
        }
        Thread.sleep(forTimeInterval: max(.zero, next - .now).seconds)
      }
    }
  }

  /// Says what became of an ended job. Throws `ClientFailure` unless it succeeded.
  func report(_ job: RemoteJob) throws {
    for warning in job.warnings { StandardError.write("WARNING: \(warning)\n") }
    switch job.status {
    case .succeeded: return
    case .failed:
      throw job.error.map { ClientFailure($0) } ?? ClientFailure("job \(job.id) failed")
    case .cancelled: throw ClientFailure("job \(job.id) was cancelled")
    case .queued, .running: throw ClientFailure("job \(job.id) is \(job.status.rawValue)")
    }
  }

  /// Downloads outputs, all unless `names` says which, and prints where they are.
  func download(_ job: RemoteJob, names: [String] = [], into folder: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw ClientFailure("the folder \(folder) cannot be made; is a file in the way, or may you not write there?")
    }
    for name in names where !job.outputs.contains(where: { $0.name.description == name }) {
      throw ClientFailure(
        "job \(job.id) has no output \(name); it has \(job.outputs.map(\.name.description).joined(separator: ", "))")
    }
    for output in job.outputs where names.isEmpty || names.contains(output.name.description) {
      let download = OutputDownload(output, into: FilePath(folder), client: client) { [bar] done, total in
        bar?.show(transfer: "Downloading \(output.name)", done: done, total: total)
      }
      let path = try download.run()
      bar?.clear()
      print("Saved \(path)")
    }
  }
}
