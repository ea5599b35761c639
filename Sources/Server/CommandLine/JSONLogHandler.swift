import API
import Foundation
import Logging

/// One JSON object a line on standard error: `time`, `level`, `message`, then the metadata under its own names, as text
/// but for `true` and `false`.
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
    var fields: [String: Field] = [:]
    for (key, value) in metadata { fields[key] = Field(value) }
    for (key, value) in metadataProvider?.get() ?? [:] { fields[key] = Field(value) }
    for (key, value) in event.metadata ?? [:] { fields[key] = Field(value) }
    if let error = event.error { fields["error"] = .text("\(error)") }
    fields["time"] = .text(Timestamp.now.text)
    fields["level"] = .text(event.level.rawValue)
    fields["message"] = .text(event.message.description)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard var line = try? encoder.encode(fields) else { return }
    line.append(UInt8(ascii: "\n"))
    write(line)
  }

  private enum Field: Encodable {
    case text(String)
    case flag(Bool)

    init(_ value: Logger.Metadata.Value) {
      if case .stringConvertible(let content) = value, let flag = content as? Bool {
        self = .flag(flag)
      } else {
        self = .text(value.description)
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .flag(let flag): try container.encode(flag)
      }
    }
  }

  private static let standardError: @Sendable (Data) -> Void = { line in
    try? FileHandle.standardError.write(contentsOf: line)
  }
}
