import HTTPTypes
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Routes")
struct RouteTableTests {
  private let route = RouteTable.Route(
    .get, "/v1/jobs/{job}/outputs/{output}", .read, .downloadOutput
  ) { _ in { _, _ in throw Fault.notFound("") } }

  @Test("Captures by name, once for each braces")
  func captures() {
    let captures = route.match(["v1", "jobs", "x", "outputs", "a/b"])
    #expect(captures?.map(\.name) == ["job", "output"])
    #expect(captures?.map(\.value) == ["x", "a/b"])
  }

  @Test(
    "Other paths do not match",
    arguments: [
      [], ["v1"], ["v1", "jobs", "x", "outputs"], ["v1", "jobs", "x", "inputs", "y"],
      ["v1", "jobs", "x", "outputs", "y", "z"],
    ])
  func misses(_ segments: [String]) {
    #expect(route.match(segments) == nil)
  }
}
