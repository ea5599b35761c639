import Foundation
import HTTPTypes
import HummingbirdTesting
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("The page")
struct PageEndpointTests {
  private static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent()
    .removingLastComponent()
    .removingLastComponent().appending("Sources/CWeb/web")

  /// The files of the page in the source tree, by name.
  private static func sources() throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.string)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(filePath: folder.appending($0).string))) })
  }

  @Test("Every file is served as it is in the source tree, with the headers that confine it, and can be kept for ever")
  func files() async throws {
    let sources = try Self.sources()
    let types = ["css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"]
    try await ServiceHarness().test { client async throws in
      let version = Assets.embedded.version
      #expect(Set(Assets.embedded.files.keys).union(["index.html"]) == Set(sources.keys))
      for (name, bytes) in sources where name != "index.html" {
        let answer = try await client.send(.get, "/ui/\(version)/\(name)")
        #expect(answer.status == .ok, "\(name)")
        #expect(Data(answer.body.utf8) == bytes, "\(name) is another one in the program; build again")
        #expect(answer.headers[.contentType] == "\(types[String(name.split(separator: ".").last!)]!); charset=utf-8")
        #expect(answer.headers[.cacheControl] == "public, max-age=31536000, immutable")
        Self.checkHeaders(answer)
        let again = try await client.send(
          .get, "/ui/\(version)/\(name)", headers: [.ifNoneMatch: try #require(answer.headers[.eTag])])
        #expect(again.status == .notModified)
        #expect(again.body.isEmpty)
      }
      #expect(try await client.send(.get, "/ui/0000000000000000/app.js").status == .notFound)
      #expect(try await client.send(.get, "/ui/\(version)/index.html").status == .notFound)
    }
  }

  @Test("The document names the files of this version, is asked for each time, and has a head")
  func document() async throws {
    let source = String(decoding: try #require(Self.sources()["index.html"]), as: UTF8.self)
    try await ServiceHarness().test(.live) { client async throws in
      let answer = try await client.send(.get, "/")
      #expect(answer.status == .ok)
      #expect(answer.headers[.contentType] == "text/html; charset=utf-8")
      #expect(answer.headers[.cacheControl] == "no-cache")
      #expect(answer.body == source.replacing("@VERSION@", with: Assets.embedded.version))
      #expect(answer.body.contains("/ui/\(Assets.embedded.version)/app.js"))
      Self.checkHeaders(answer)
      let tag = try #require(answer.headers[.eTag])
      #expect(try await client.send(.get, "/", headers: [.ifNoneMatch: tag]).status == .notModified)
      #expect(try await client.send(.get, "/", headers: [.ifNoneMatch: "\"x\""]).status == .ok)
      let head = try await client.send(.head, "/")
      #expect(head.status == .ok)
      #expect(head.body.isEmpty)
      #expect(head.headers[.eTag] == tag)
      #expect(head.headers[.contentLength] == String(answer.body.utf8.count))
      #expect(try await client.send(.post, "/").headers[.allow] == "GET, HEAD")
    }
  }

  @Test("Whoever has no token gets the page, which says nothing, and no page where it is switched off")
  func access() async throws {
    let required = try ServiceHarness { $0.requiresTokens = true }
    try await required.test { client async throws in
      #expect(try await client.send(.get, "/").status == .ok)
      #expect(try await client.send(.get, "/v1/me").status == .unauthorized)
    }
    let off = try ServiceHarness { $0.ui = .off }
    try await off.test { client async throws in
      for path in ["/", "/ui/\(Assets.embedded.version)/app.js"] {
        #expect(try await client.send(.get, path)["code"] == "not_found")
      }
      #expect(try await client.send(.get, "/v1/jobs").status == .ok)
    }
    #expect(try Settings(flags: ["ui": "off"], environment: [:]).ui == .off)
    #expect(throws: Settings.Invalid.self) { _ = try Settings(flags: ["ui": "no"], environment: [:]) }
  }

  @Test("The page stays small: 100 kB in all, 2,000 lines of code")
  func budget() throws {
    let sources = try Self.sources()
    #expect(sources.values.reduce(0) { $0 + $1.count } <= 100_000)
    let lines = sources.filter { $0.key.hasSuffix(".js") }.values.reduce(0) { $0 + $1.count { $0 == 10 } }
    #expect(lines <= 2000)
  }

  @Test("Nothing in the page turns text into markup or asks another origin")
  func code() throws {
    for (name, bytes) in try Self.sources() {
      let text = String(decoding: bytes, as: UTF8.self)
      for word in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", " style=\""] {
        #expect(!text.contains(word), "\(name) has \(word)")
      }
      guard name != "icon.svg" else { continue }
      let addresses = text.matches(of: #/https?:\/\/[^\s'"`)]+/#).map { String($0.output) }
      #expect(addresses.allSatisfy { $0 == "http://www.w3.org/2000/svg" }, "\(name): \(addresses)")
    }
  }

  private static func checkHeaders(_ answer: Client.Answer) {
    let policy = answer.headers[.contentSecurityPolicy] ?? ""
    for rule in [
      "default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    ] { #expect(policy.contains(rule)) }
    #expect(!policy.contains("unsafe"))
    #expect(answer.headers[.xContentTypeOptions] == "nosniff")
    #expect(answer.headers[.referrerPolicy] == "no-referrer")
  }
}
