import API
import APIClient
import ArgumentParser
import Core
import Foundation
import HTTPTypes
import Inputs

/// `zooport status`: jobs as they are now.
struct StatusCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show jobs of a server.",
    discussion: """
      One line for each job: id, status, phase and progress, model, formats. Without an id the latest jobs. The exit status \
      says whether the jobs could be asked for, not how they fared; --json prints all that the server knows, one object a line.
      """)

  @Argument(help: "Ids of jobs.") var jobs: [String] = []
  @Option(help: "How many of the latest jobs.") var limit = 20
  @Flag(help: "Print the whole job as JSON.") var json = false
  @OptionGroup var server: ClientOptions

  func validate() throws {
    guard (1...200).contains(limit) else { throw ValidationError("--limit takes a number from 1 to 200.") }
  }

  func run(_ client: ServiceClient) throws {
    guard !jobs.isEmpty else {
      for job in try client.json(RemoteJobList.self, .get, "/v1/jobs?limit=\(limit)").jobs {
        try json ? print(text(client, "/v1/jobs/\(job.id)")) : print(Self.line(job))
      }
      return
    }
    for id in jobs {
      let path = "/v1/jobs/\(PercentEncoding.encode(id))"
      if json {
        print(try text(client, path))
      } else {
        let job = try client.json(RemoteJob.self, .get, path)
        print(Self.line(job))
        if let error = job.error { print("  \(error.detail)") }
      }
    }
  }

  private func text(_ client: ServiceClient, _ path: String) throws -> String {
    String(decoding: try client.send(.get, path).body, as: UTF8.self).trimmingCharacters(in: .newlines)
  }

  /// `ID  running converting 41%  gpt2 hf -> cs-1.8`.
  static func line(_ job: RemoteJob) -> String {
    var state = job.status.rawValue
    if job.status == .running, let phase = job.progress.phase { state += " \(phase)" }
    if job.status == .running, let percent = ProgressBar.percent(job.progress.bytesDone, of: job.progress.bytesTotal) {
      state += " \(percent)%"
    }
    return "\(job.id)  \(state)  \(job.model) \(job.srcFmt) -> \(job.tgtFmt)"
  }
}

/// `zooport watch`: follows a job.
struct WatchCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Follow a job to its end.",
    discussion: """
      Shows a progress bar on a terminal, then warnings and the reason of a failure.

      Exit status, as of `convert`: 0 succeeded; 3 the config cannot be converted; 4 keys of the checkpoint match no rule; \
      5 an input is unreadable or hostile; 1 anything else, cancellation included.
      """)

  @Argument(help: "The id of the job.") var job: String
  @Flag(help: "Show no progress bar.") var noProgressBar = false
  @OptionGroup var server: ClientOptions

  func run(_ client: ServiceClient) throws {
    let watcher = JobWatcher(client: client, showsProgress: !noProgressBar)
    try watcher.report(watcher.follow("/v1/jobs/\(PercentEncoding.encode(job))"))
    print("\(job) succeeded")
  }
}

/// `zooport download`: the outputs of a job.
struct DownloadCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "download",
    abstract: "Download the outputs of a job, waiting for its end.",
    discussion: """
      Each output goes to <name>.<digest>.part, its digest is checked, and then it gets its name. An interrupted download \
      goes on when the command is run again, and a file that is there already is left alone.
      """)

  @Argument(help: "The id of the job.") var job: String
  @Argument(help: "Names of outputs; all unless some are named.") var names: [String] = []
  @Option(help: "The folder for the outputs; created if missing.") var outputDir = "."
  @Flag(help: "Show no progress bar.") var noProgressBar = false
  @OptionGroup var server: ClientOptions

  func run(_ client: ServiceClient) throws {
    let watcher = JobWatcher(client: client, showsProgress: !noProgressBar)
    let ended = try watcher.follow("/v1/jobs/\(PercentEncoding.encode(job))")
    try watcher.report(ended)
    try watcher.download(ended, names: names, into: outputDir)
  }
}

/// `zooport cancel`: stops jobs.
struct CancelCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "Cancel queued or running jobs. One that has ended is left as it is.")

  @Argument(help: "Ids of jobs.") var jobs: [String]
  @OptionGroup var server: ClientOptions

  func run(_ client: ServiceClient) throws {
    for id in jobs {
      let job = try client.json(RemoteJob.self, .post, "/v1/jobs/\(PercentEncoding.encode(id))/cancel")
      print("\(job.id) \(job.status.rawValue)")
    }
  }
}

/// `zooport retry`: submits jobs again.
struct RetryCommand: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Submit jobs again, with the same inputs and options.",
    discussion: """
      Prints the id of each new job. Files that the server still has are not sent again; a job whose files it has removed \
      cannot be submitted again in this way.
      """)

  @Argument(help: "Ids of jobs.") var jobs: [String]
  @OptionGroup var server: ClientOptions

  func run(_ client: ServiceClient) throws {
    for id in jobs {
      // One key for all tries of the request, so that an answer that was lost makes no second job.
      let key = (name: "Idempotency-Key", value: "retry-\(Identifier.generate())")
      let answer = try client.send(.post, "/v1/jobs/\(PercentEncoding.encode(id))/again", headers: [key])
      print(try client.decode(RemoteJob.self, answer).id)
    }
  }
}
