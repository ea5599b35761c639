import Foundation
import HTTPTypes
import Testing

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
          #"zooport_http_requests_total{method="GET",route="/v1/jobs/{job}",status="4xx"} 50"#,
          #"zooport_http_requests_total{method="other",route="none",status="4xx"} 100"#,
        ])
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
