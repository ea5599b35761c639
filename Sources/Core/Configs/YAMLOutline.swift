internal import OrderedCollections

/// Where the entries of a YAML document's block mappings stand in its text.
///
/// Covers what can be edited line by line: block mappings whose keys are plain or quoted scalars at the start of a line.
/// Everything else (lists, flow style, merge keys, explicit `? ` keys) is one opaque value.
struct YAMLOutline {
  /// One key with its value.
  struct Entry {
    let key: String
    let keyRange: Range<Int>
    /// Bytes of the value; empty where nothing is written. Block containers reach from their first to their last byte.
    let valueRange: Range<Int>
    /// Column of the key, in bytes.
    let column: Int
    /// The entries of a block mapping; nil for other values.
    let children: [Entry]?
  }

  let bytes: [UInt8]
  /// The entries of the top-level mapping.
  private(set) var entries: [Entry] = []
  private let lineStarts: [Int]

  /// The outline of a document that `YAMLReader` accepted; nil when its top level or its line breaks are beyond this.
  init?(_ bytes: [UInt8], name: String) {
    // libyaml also counts these as line breaks or skips them; such texts are not edited.
    guard !bytes.contains(UInt8(ascii: "\r")), !bytes.starts(with: [0xEF, 0xBB, 0xBF]),
      let text = String(validating: bytes, as: UTF8.self),
      !text.unicodeScalars.contains(where: { $0 == "\u{85}" || $0 == "\u{2028}" || $0 == "\u{2029}" || $0 == "\u{0}" })
    else { return nil }
    self.bytes = bytes
    lineStarts = [0] + bytes.indices.filter { bytes[$0] == 0x0A }.map { $0 + 1 }
    do throws(ConversionError) {
      let events = try YAMLEvents(bytes, name: name)
      _ = try events.next()
      _ = try events.next()
      guard let entries = try value(try events.next(), events).children else { return nil }
      self.entries = entries
    } catch {
      return nil
    }
  }

  private struct Value {
    var range: Range<Int>
    var children: [Entry]?
  }

  private func value(_ event: YAMLEvent, _ events: YAMLEvents) throws(ConversionError) -> Value {
    let start = offset(event.start)
    switch event.content {
    case .sequenceStart(_, _, flow: true), .mappingStart(_, _, flow: true):
      return Value(range: start..<max(start, try endOfFlow(events)), children: nil)
    case .sequenceStart:
      var end = start
      while true {
        let item = try events.next()
        if case .sequenceEnd = item.content { return Value(range: start..<end, children: nil) }
        end = max(end, try value(item, events).range.upperBound)
      }
    case .mappingStart: return try mapping(start, events)
    default: return Value(range: start..<contentEnd(from: start, to: offset(event.end)), children: nil)
    }
  }

  private func mapping(_ start: Int, _ events: YAMLEvents) throws(ConversionError) -> Value {
    var end = start
    var children: [Entry]? = []
    while true {
      let keyEvent = try events.next()
      if case .mappingEnd = keyEvent.content {
        return Value(range: start..<end, children: children)
      }
      let keyRange = try value(keyEvent, events).range
      let element = try value(try events.next(), events)
      end = max(end, keyRange.upperBound, element.range.upperBound)
      let line = lineStart(of: keyRange.lowerBound)
      if let key = Self.key(keyEvent), bytes[line..<keyRange.lowerBound].allSatisfy({ $0 == 0x20 }) {
        children?.append(
          Entry(
            key: key, keyRange: keyRange, valueRange: element.range, column: keyRange.lowerBound - line,
            children: element.children))
      } else {
        children = nil
      }
    }
  }

  /// Skips a flow collection whose start was read. Only its end is located: it may be one long line of many values,
  /// and to locate a mark costs a walk along its line.
  private func endOfFlow(_ events: YAMLEvents) throws(ConversionError) -> Int {
    var depth = 1
    while true {
      let event = try events.next()
      switch event.content {
      case .sequenceStart, .mappingStart: depth += 1
      case .sequenceEnd, .mappingEnd: depth -= 1
      default: break
      }
      if depth == 0 { return offset(event.end) }
    }
  }

  private static func key(_ event: YAMLEvent) -> String? {
    guard case .scalar(let text, nil, nil, let plain) = event.content else { return nil }
    let kind = plain ? YAMLScalar(plain: text) : .string
    guard kind != .merge, let value = kind.value(of: text, keepingText: false) else { return nil }
    switch value {
    case .string(let key), .timestamp(let key): return key
    default: return ConfigKey.encode(value)
    }
  }

  /// Block scalars end after their line break and the empty lines that follow; those are no part of the content.
  private func contentEnd(from start: Int, to end: Int) -> Int {
    var end = max(start, end)
    while end > start, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x20 { end -= 1 }
    return end
  }

  private func offset(_ mark: YAMLMark) -> Int {
    guard mark.line < lineStarts.count else { return bytes.count }
    var offset = lineStarts[mark.line]
    for _ in 0..<mark.column where offset < bytes.count {
      offset += 1
      while offset < bytes.count, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
    }
    return offset
  }

  /// First byte of the line that holds a byte.
  func lineStart(of offset: Int) -> Int { (bytes[..<offset].lastIndex(of: 0x0A) ?? -1) + 1 }

  /// First byte after the line that holds a byte.
  func lineEnd(of offset: Int) -> Int { (bytes[offset...].firstIndex(of: 0x0A) ?? bytes.count - 1) + 1 }
}
