import Foundation
import Logging
import Synchronization
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("JSON log")
struct JSONLogHandlerTests {
  @Test("One object a line, metadata under its own names, quotes and line feeds escaped")
  func line() throws {
    let lines = LineBox()
    var logger = Logger(label: "test") { _ in JSONLogHandler(level: .info) { line in lines.append(line) } }
    logger[metadataKey: "job"] = "a"
    logger.debug("not written")
    logger.info("said \"so\"\n", metadata: ["job": "b", "count": "\(3)"])
    let written = lines.all
    #expect(written.count == 1)
    let line = try #require(written.first)
    #expect(line.last == UInt8(ascii: "\n"))
    #expect(line.dropLast().contains(UInt8(ascii: "\n")) == false)
    let object = try #require(try JSONSerialization.jsonObject(with: line) as? [String: String])
    #expect(object["message"] == "said \"so\"\n")
    #expect(object["level"] == "info")
    #expect(object["job"] == "b")
    #expect(object["count"] == "3")
    #expect(object["time"]?.hasSuffix("Z") == true)
  }

  private final class LineBox: Sendable {
    private let lines = Mutex<[Data]>([])
    func append(_ line: Data) { lines.withLock { $0.append(line) } }
    var all: [Data] { lines.withLock { $0 } }
  }
}
