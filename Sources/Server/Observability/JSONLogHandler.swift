import Foundation
import Logging

/// One JSON object a line on standard error: `time`, `level`, `message`, then the metadata under its own names.
struct JSONLogHandler: LogHandler {
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?
  /// Takes a whole line; one call is one write, so that lines of several threads do not mix.
  private let write: @Sendable (Data) -> Void

  init(level: Logger.Level, write: @escaping @Sendable (Data) -> Void = Self.standardError) {
    logLevel = level
    self.write = write
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var fields: [String: String] = [:]
    for (key, value) in metadata { fields[key] = value.description }
    for (key, value) in metadataProvider?.get() ?? [:] { fields[key] = value.description }
    for (key, value) in event.metadata ?? [:] { fields[key] = value.description }
    if let error = event.error { fields["error"] = "\(error)" }
    fields["time"] = Timestamp.now.text
    fields["level"] = event.level.rawValue
    fields["message"] = event.message.description
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard var line = try? encoder.encode(fields) else { return }
    line.append(UInt8(ascii: "\n"))
    write(line)
  }

  private static let standardError: @Sendable (Data) -> Void = { line in
    try? FileHandle.standardError.write(contentsOf: line)
  }
}
