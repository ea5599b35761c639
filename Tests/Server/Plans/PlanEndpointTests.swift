import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Plans over HTTP")
struct PlanEndpointTests {
  private static func body(_ server: LoopbackServer, _ path: String) -> String {
    #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
      + #""checkpoint":{"url":"http://127.0.0.1:\#(server.port)\#(path)"}}"#
  }

  private static func harness(_ change: (inout Settings) -> Void = { _ in }) throws -> ServiceHarness {
    try ServiceHarness {
      $0.egress = (try? EgressPolicy(allowing: ["127.0.0.1"])) ?? $0.egress
      change(&$0)
    }
  }

  /// A server whose `/slow` never answers.
  private static func server() throws -> LoopbackServer {
    try LoopbackServer { target, send in
      if target == "/slow" { Thread.sleep(forTimeInterval: 20) }
      send(LoopbackServer.answer("404 Not Found", ""))
    }
  }

  private static func ask(_ client: Client, _ body: String) async throws -> Client.Answer {
    try await client.send(.post, "/v1/plans", headers: [.contentType: "application/json"], body: body)
  }

  @Test("A plan that takes too long is given up, and says so")
  func deadline() async throws {
    let server = try Self.server()
    defer { server.stop() }
    try await Self.harness { $0.planTime = .seconds(1) }.test { client in
      let start = ContinuousClock.now
      let answer = try await Self.ask(client, Self.body(server, "/slow"))
      #expect(answer.status == .serviceUnavailable)
      #expect(answer["code"] == "unavailable")
      #expect(answer["detail"]?.contains("within 1 s") == true)
      #expect(ContinuousClock.now - start < .seconds(10))
    }
  }

  @Test("How long a hub asks to wait is passed on")
  func retryAfter() async throws {
    let server = try LoopbackServer { _, send in
      send(LoopbackServer.answer("429 Too Many Requests", "", headers: "Retry-After: 120\r\n"))
    }
    defer { server.stop() }
    let hub = try SourceURL("http://127.0.0.1:\(server.port)")
    try await Self.harness { $0.hubEndpoint = hub }.test { client in
      let reference = #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","checkpoint":{"hub":"owner/name"}}"#
      for body in [reference, Self.body(server, "/x")] {
        let answer = try await Self.ask(client, body)
        #expect(answer.status == .badGateway)
        #expect(answer["code"] == "fetch_failed")
        #expect(answer.headers[.retryAfter] == "120")
      }
    }
  }

  @Test("One owner does not take all slots, and who leaves gives the slot back")
  func slots() async throws {
    let server = try Self.server()
    defer { server.stop() }
    let harness = try Self.harness()
    let (first, second) = (try harness.token("first"), try harness.token("second"))
    try await harness.test(.live) { client in
      let port = try #require(client.base.port)
      let body = Self.body(server, "/slow")
      var wires: [Wire] = []
      for _ in 0..<PlanSlots.limitOfOne {
        let wire = try Wire(port: port)
        wire.send(
          "POST /v1/plans HTTP/1.1\r\nHost: x\r\nAuthorization: \(first)\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        wires.append(wire)
      }
      #expect(wires.count == PlanSlots.limitOfOne)
      let reached = await eventually { server.requests.count == PlanSlots.limitOfOne }
      #expect(reached)
      // A plan that fails at once tells whether there was a slot for it.
      let quick = Self.body(server, "/none")
      let refused = try await Self.ask(client.with(first), quick)
      #expect(refused.status == .serviceUnavailable)
      #expect(refused.headers[.retryAfter] == "2")
      let other = try await Self.ask(client.with(second), quick)
      #expect(other.status == .badGateway)
      // The clients leave while their plans wait for the server.
      wires = []
      let isFree = try await eventually(within: 5) {
        try await Self.ask(client.with(first), quick).status == .badGateway
      }
      #expect(isFree)
    }
  }

  @Test("Slots are counted for each owner and in all")
  func counts() {
    let slots = PlanSlots()
    #expect((0..<PlanSlots.limitOfOne).allSatisfy { _ in slots.begin(for: "a") })
    #expect(!slots.begin(for: "a"))
    #expect((0..<PlanSlots.limitOfOne).allSatisfy { _ in slots.begin(for: nil) })
    #expect(!slots.begin(for: "b"))
    slots.end(for: "a")
    #expect(slots.begin(for: "b"))
    #expect(!slots.begin(for: "a"))
  }
}
