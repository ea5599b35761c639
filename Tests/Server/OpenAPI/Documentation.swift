import Foundation
import HTTPTypes
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// Holds every answer that a test gets against what the route says it answers.
enum Documentation {
  /// Records an issue when the status, the media type or the document of an answer is not declared.
  static func check(_ answer: Client.Answer, to method: HTTPRequest.Method, _ uri: String) {
    let path = uri.split(separator: "?", omittingEmptySubsequences: false).first.map(String.init) ?? uri
    let segments = path.split(separator: "/").map { PercentEncoding.decode($0) }
    // What no route matches has no documentation; 404 and 405 are all it gets.
    guard !segments.contains(nil),
      let route = RouteTable.all.first(where: { $0.method == method && $0.match(segments.compactMap { $0 }) != nil })
    else { return }
    let status = answer.status.code
    #expect(route.statuses.contains(status), "\(method) \(route.path) answers \(status), which is not documented")
    let refused = route.refusals.contains { $0.status == status } ? route.headers(ofRefusal: status) : []
    let answered = route.operation.answers.first { $0.status == status }.map(route.headers(of:)) ?? []
    let described = Set((refused + answered).map { $0.lowercased() })
    for field in answer.headers where !HeaderDescription.isFraming(field.name.rawName) {
      #expect(
        described.contains(field.name.canonicalName),
        "\(method) \(route.path) answers \(status) with \(field.name), which is not documented")
    }
    let mediaType = answer.headers[.contentType].map { HeaderParameters($0).value }
    if mediaType == "application/problem+json" {
      let codes = route.refusals.filter { $0.status == status }.flatMap(\.codes).map(\.rawValue)
      if method != .head {
        #expect(codes.contains(answer["code"] ?? ""), "\(method) \(route.path): \(answer["code"] ?? "")")
      }
      check(answer, .problem)
    } else if let declared = route.operation.answers.first(where: { $0.status == status }) {
      guard let mediaType, method != .head else { return }
      let content = declared.content.first { $0.mediaType == mediaType }
      #expect(content != nil, "\(method) \(route.path) answers \(status) as \(mediaType), which is not documented")
      guard let content, mediaType == "application/json", !path.contains("/outputs/") else { return }
      let problems = SchemaValidator.problems(answer.json, content.schema.json)
      #expect(problems.isEmpty, "\(method) \(path)")
    }
  }

  private static func check(_ answer: Client.Answer, _ name: SchemaName) {
    guard !answer.body.isEmpty else { return }
    let problems = SchemaValidator.problems(answer.json, name.schema.json)
    #expect(problems.isEmpty, "\(answer.body)")
  }
}
