// libyaml, as the Yams package carries it. Yams' own tree is not used: it is built before any limit can be checked,
// resolves scalars by patterns that are not PyYAML's, and hashes keys, which an alias bomb can make endless.
internal import CYaml

/// The events of one YAML stream.
struct YAMLEvent {
  enum Content {
    case streamStart, streamEnd, documentStart, documentEnd
    case alias(String)
    /// `tag` is nil when none was written; `plain` when the text stands without quotes.
    case scalar(String, tag: String?, anchor: String?, plain: Bool)
    case sequenceStart(tag: String?, anchor: String?, flow: Bool)
    case mappingStart(tag: String?, anchor: String?, flow: Bool)
    case sequenceEnd, mappingEnd
  }

  let content: Content
  let start: YAMLMark
  let end: YAMLMark
}

/// A place in a YAML text, counted from 0; columns in Unicode scalars.
struct YAMLMark {
  let line: Int
  let column: Int
}

/// A pull parser over libyaml. It holds no state of its own besides the library's.
///
/// libyaml refuses more than 1,000 levels of nesting by itself and never recurses.
final class YAMLEvents {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeMutableBufferPointer<UInt8>
  private let name: String

  /// Directives (`%TAG`, `%YAML`) of a stream. libyaml compares each with all before it, so their number is bounded.
  private static let directives = 64

  /// Copies the bytes, as libyaml keeps a pointer to them. The encoding is UTF-8; a byte order mark is skipped.
  init(_ bytes: [UInt8], name: String) throws(ConversionError) {
    self.name = name
    // libyaml would count the mark as a column, and the keys of the first mapping would not line up.
    let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    let count = Self.directiveLines(bytes)
    guard count <= Self.directives else {
      throw ConversionError(
        .hostileInput, "\(name) has \(count) lines that start with %; at most \(Self.directives) are read")
    }
    parser = .allocate(capacity: 1)
    input = .allocate(capacity: bytes.count)
    _ = input.initialize(from: bytes)
    guard yaml_parser_initialize(parser) == 1 else {
      throw ConversionError(.internal, "\(name) cannot be read: out of memory")
    }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, input.baseAddress, input.count)
  }

  /// Lines that start with a percent sign, at all the line breaks libyaml knows.
  private static func directiveLines(_ bytes: [UInt8]) -> Int {
    var count = 0
    var last: UInt32 = 0x0A
    for byte in bytes {
      if byte == UInt8(ascii: "%") {
        let breaks =
          last & 0xFF == 0x0A || last & 0xFF == 0x0D || last & 0xFFFF == 0xC285 || last & 0xFFFFFE == 0xE280A8
        if breaks { count += 1 }
      }
      last = last << 8 | UInt32(byte)
    }
    return count
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
    input.deallocate()
  }

  /// The next event. Throws `.unreadableInput` with line and column when the text is no YAML.
  func next() throws(ConversionError) -> YAMLEvent {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
    defer { yaml_event_delete(&event) }
    return YAMLEvent(
      content: try content(event), start: YAMLMark(event.start_mark), end: YAMLMark(event.end_mark))
  }

  private func content(_ event: yaml_event_t) throws(ConversionError) -> YAMLEvent.Content {
    switch event.type {
    case YAML_STREAM_START_EVENT: return .streamStart
    case YAML_STREAM_END_EVENT: return .streamEnd
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    case YAML_DOCUMENT_END_EVENT: return .documentEnd
    case YAML_ALIAS_EVENT: return .alias(Self.text(event.data.alias.anchor) ?? "")
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      return .scalar(
        text, tag: Self.text(scalar.tag), anchor: Self.text(scalar.anchor),
        plain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
    case YAML_SEQUENCE_START_EVENT:
      let start = event.data.sequence_start
      return .sequenceStart(
        tag: Self.text(start.tag), anchor: Self.text(start.anchor), flow: start.style == YAML_FLOW_SEQUENCE_STYLE)
    case YAML_MAPPING_START_EVENT:
      let start = event.data.mapping_start
      return .mappingStart(
        tag: Self.text(start.tag), anchor: Self.text(start.anchor), flow: start.style == YAML_FLOW_MAPPING_STYLE)
    case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
    case YAML_MAPPING_END_EVENT: return .mappingEnd
    default: throw ConversionError(.unreadableInput, "\(name) ends in the middle")
    }
  }

  private static func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? { pointer.map { String(cString: $0) } }

  private func failure() -> ConversionError {
    let problem = parser.pointee.problem.map { String(cString: $0) } ?? "out of memory"
    let context = parser.pointee.context.map { " \(String(cString: $0))" } ?? ""
    if parser.pointee.error == YAML_READER_ERROR {
      return ConversionError(.unreadableInput, "\(name), byte \(parser.pointee.problem_offset): \(problem)")
    }
    let mark = YAMLMark(parser.pointee.problem_mark)
    if problem.hasPrefix("Maximum nesting level") {
      return ConversionError(.hostileInput, "\(mark.place(in: name)): nested more than 1000 levels deep")
    }
    return ConversionError(.unreadableInput, "\(mark.place(in: name)): \(problem)\(context)")
  }
}

extension YAMLMark {
  init(_ mark: yaml_mark_t) { self.init(line: mark.line, column: mark.column) }

  /// The place as errors name it, counted from 1.
  func place(in name: String) -> String { "\(name), line \(line + 1) column \(column + 1)" }
}
