import Foundation
import HTTPTypes
import Logging
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Metrics")
struct MetricsTests {
  static let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test("Counters add up, buckets are cumulative, label values are escaped")
  func text() {
    let metrics = Metrics()
    metrics.add(.jobsEnded, ["failed", "a\"b\\c\nd"])
    metrics.add(.jobsEnded, ["failed", "a\"b\\c\nd"], by: 2)
    for milliseconds in [1, 5, 6, 70_000] {
      metrics.observe(.requestSeconds, ["/x"], .milliseconds(milliseconds))
    }
    let lines = metrics.text(gauges: [.init(name: "g", help: "A gauge.", labels: ["l"], values: [(["v"], 0.5)])])
      .split(separator: "\n").map(String.init)
    for line in [
      #"zooport_jobs_ended_total{status="failed",model="a\"b\\c\nd"} 3"#,
      #"zooport_http_request_seconds_bucket{route="/x",le="0.001"} 1"#,
      #"zooport_http_request_seconds_bucket{route="/x",le="0.005"} 2"#,
      #"zooport_http_request_seconds_bucket{route="/x",le="60"} 3"#,
      #"zooport_http_request_seconds_bucket{route="/x",le="+Inf"} 4"#,
      #"zooport_http_request_seconds_sum{route="/x"} 70.012"#,
      #"zooport_http_request_seconds_count{route="/x"} 4"#,
      "zooport_leases_lost_total 0", "# TYPE g gauge", #"g{l="v"} 0.5"#,
    ] {
      #expect(lines.contains(line), "\(line)")
    }
  }

  @Test("Whatever clients ask for, the labels stay bounded")
  func bounded() async throws {
    try await ServiceHarness().test { client async throws in
      for index in 0..<50 {
        try await client.send(.get, "/v1/zork\(index)")
        try await client.send(.init("BREW\(index)")!, "/v1/jobs")
        try await client.send(.get, "/v1/jobs/x\(index)")
      }
      let text = try await client.send(.get, "/metrics").body
      let series = text.split(separator: "\n").filter { $0.hasPrefix("zooport_http_requests_total{") }
      #expect(
        series.sorted() == [
          #"zooport_http_requests_total{method="GET",route="/v1/jobs/{job}",status="404"} 50"#,
          #"zooport_http_requests_total{method="other",route="none",status="404"} 50"#,
          #"zooport_http_requests_total{method="other",route="none",status="405"} 50"#,
        ])
    }
  }

  @Test("Series exist before the first event, so that the first is an increase")
  func seeds() async throws {
    try await ServiceHarness().test { client async throws in
      let lines = try await client.send(.get, "/metrics").body.split(separator: "\n").map(String.init)
      for code in ErrorKind.allCases.map(\.rawValue) + ["limit_reached"] {
        #expect(lines.contains(#"zooport_job_errors_total{code="\#(code)"} 0"#), "\(code)")
      }
      for status in ["succeeded", "failed", "cancelled"] {
        for model in ["quick", "broken", "other"] {
          #expect(lines.contains(#"zooport_jobs_ended_total{status="\#(status)",model="\#(model)"} 0"#))
        }
      }
    }
  }

  @Test("A job that was given up at the start is counted, and a full disk is no error of the log")
  func givenUp() async throws {
    let folder = try TemporaryFolder()
    let lines = LogLines()
    let time = Timestamp.now
    do {
      let store = SQLiteJobStore(database: try Database(path: folder.path.appending("zooport.sqlite").string))
      try await store.insert(
        Job(
          id: .generate(at: time), command: .convert, model: "quick", sourceFormat: "hf", targetFormat: "cs-1.8",
          config: .inline("{}", FileName("config.json")!), checkpoint: [], options: ConversionOptions(), createdAt: time
        ),
        bringing: [])
      for _ in 0..<2 {
        _ = try store.claim(worker: "w", at: time, leaseUntil: time)
        _ = try store.requeueAbandoned(before: nil, maximumAttempts: 1, at: time)
      }
      _ = try store.claim(worker: "w", at: time, leaseUntil: time)
    }
    let harness = try ServiceHarness(log: lines.handler(level: .debug), in: folder) {
      $0.maximumAttempts = 1
      $0.diskFloor = .max
    }
    try await harness.test { client async throws in
      let text = try await client.send(.get, "/metrics").body
      #expect(text.contains(#"zooport_jobs_ended_total{status="failed",model="quick"} 1"#))
      #expect(text.contains(#"zooport_job_errors_total{code="internal"} 1"#))
      #expect(try await client.send(.put, "/v1/uploads/x", body: "x").status == .insufficientStorage)
      let line = lines.all.first { $0["status"] as? String == "507" }
      #expect(line?["level"] as? String == "warning")
    }
  }

  @Test("Jobs, bytes and errors are counted, and promtool finds nothing to complain about")
  func jobs() async throws {
    try await ServiceHarness().test { client async throws in
      let done = try await client.start("quick")
      try await client.wait(done, for: "succeeded")
      try await client.wait(client.start("broken"), for: "failed")
      let endless = try await client.start("endless")
      try await client.wait(endless, for: "running")
      try await client.send(.get, "\(done)/outputs/pytorch_model_to_cs-1.8.mdl")

      let answer = try await client.send(.get, "/metrics")
      #expect(answer.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
      let lines = answer.body.split(separator: "\n").map(String.init)
      for line in [
        #"zooport_jobs_ended_total{status="succeeded",model="quick"} 1"#,
        #"zooport_jobs_ended_total{status="failed",model="broken"} 1"#,
        #"zooport_job_errors_total{code="config_not_convertible"} 1"#,
        #"zooport_job_seconds_count{command="convert",status="succeeded"} 1"#,
        #"zooport_bytes_total{direction="uploaded"} 21"#, #"zooport_bytes_total{direction="downloaded"} 7"#,
        #"zooport_jobs{status="running",model="endless"} 1"#, #"zooport_jobs{status="running",model="all"} 1"#,
        #"zooport_jobs{status="queued",model="all"} 0"#, "zooport_queue_age_seconds 0",
      ] {
        #expect(lines.contains(line), "\(line)")
      }
      #expect(lines.contains { $0.hasPrefix("zooport_disk_free_bytes ") })
      try await client.send(.delete, endless)
      #expect(try await client.send(.get, "/metrics").body.contains(#"{status="cancelled",model="endless"} 1"#))
      try Self.check(answer.body)
    }
  }

  /// Runs `promtool check metrics`, when it is installed.
  private static func check(_ text: String) throws {
    guard let promtool else { return }
    let process = Process()
    process.executableURL = URL(filePath: promtool)
    process.arguments = ["check", "metrics"]
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    try input.fileHandleForWriting.close()
    let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(said == "")
  }
}
