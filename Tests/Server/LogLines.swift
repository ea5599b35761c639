import Foundation
import Logging
import Synchronization

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What a service logs, line by line.
final class LogLines: Sendable {
  private let data = Mutex(Data())

  func handler(level: Logger.Level) -> JSONLogHandler {
    JSONLogHandler(level: level) { line in self.data.withLock { $0 += line } }
  }

  var text: String { String(decoding: data.withLock { $0 }, as: UTF8.self) }

  var all: [[String: Any]] {
    text.split(separator: "\n").compactMap {
      (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
    }
  }
}
