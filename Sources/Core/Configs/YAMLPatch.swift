internal import OrderedCollections

/// Writes a changed config into the text it came from, so that comments and untouched lines stay as they were.
///
/// A changed scalar is replaced where it stands, a removed key takes its lines along, a new key is put behind the key
/// that precedes it, and a key whose name alone changed keeps its line. Comment lines are never removed.
enum YAMLPatch {
  /// The text with `new` in place of `old`, or nil when the text does not allow it.
  ///
  /// `old` is what the text reads as. The result was read back: it holds exactly the values of `new`, but keys that
  /// were in the text stay in the order of the text. Complexity: O(text · edits), since edits are few.
  static func apply(_ new: ConfigObject, to source: [UInt8], reading old: ConfigObject, limits: Limits) -> String? {
    if new == old { return String(validating: source, as: UTF8.self) }
    let complete = source.last == 0x0A ? source : source + [0x0A]
    guard let outline = YAMLOutline(complete, name: "config") else { return nil }
    var edits: [Edit] = []
    collect(outline.entries, old, new, outline, &edits)
    guard let bytes = apply(edits, to: complete),
      case .object(let read)? = try? YAMLReader.parse(bytes, name: "config", limits: limits),
      hasSameValues(.object(read), .object(new))
    else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  private struct Edit {
    let range: Range<Int>
    let text: String
  }

  private static func collect(
    _ entries: [YAMLOutline.Entry], _ old: ConfigObject, _ new: ConfigObject, _ outline: YAMLOutline,
    _ edits: inout [Edit]
  ) {
    guard let first = entries.first else { return }
    let positions = Dictionary(entries.enumerated().map { ($1.key, $0) }) { $1 }
    var renamed: Set<Int> = []
    // Where the next new key goes, and the entry that stands there.
    var insertion = outline.lineStart(of: first.keyRange.lowerBound)
    var following = 0
    for (key, value) in new {
      if let position = positions[key] {
        let entry = entries[position]
        change(entry, from: old[key] ?? .null, to: value, outline, &edits)
        (insertion, following) = (contentEnd(entry, outline), position + 1)
      } else if following < entries.count, new[entries[following].key] == nil, old[entries[following].key] == value {
        let entry = entries[following]
        edits.append(Edit(range: entry.keyRange, text: YAMLWriter.key(key)))
        renamed.insert(following)
        (insertion, following) = (contentEnd(entry, outline), following + 1)
      } else {
        let text = YAMLWriter.render(key: key, value, indent: first.column)
        edits.append(Edit(range: insertion..<insertion, text: text))
      }
    }
    for (position, entry) in entries.enumerated() where new[entry.key] == nil && !renamed.contains(position) {
      edits.append(Edit(range: lines(of: entry, outline), text: ""))
    }
  }

  private static func change(
    _ entry: YAMLOutline.Entry, from old: ConfigValue, to new: ConfigValue, _ outline: YAMLOutline,
    _ edits: inout [Edit]
  ) {
    if old == new { return }
    if let children = entry.children, case .object(let oldObject) = old, case .object(let newObject) = new,
      newObject.keys.contains(where: { oldObject[$0] != nil })
    {
      collect(children, oldObject, newObject, outline, &edits)
      return
    }
    let line = outline.lineEnd(of: entry.keyRange.lowerBound)
    if let text = YAMLWriter.line(new), entry.valueRange.upperBound < line {
      let isMissing = entry.valueRange.isEmpty
      edits.append(Edit(range: entry.valueRange, text: isMissing ? " " + text : text))
      return
    }
    edits.append(
      Edit(range: lines(of: entry, outline), text: YAMLWriter.render(key: entry.key, new, indent: entry.column)))
  }

  private static func lines(of entry: YAMLOutline.Entry, _ outline: YAMLOutline) -> Range<Int> {
    outline.lineStart(of: entry.keyRange.lowerBound)..<contentEnd(entry, outline)
  }

  private static func contentEnd(_ entry: YAMLOutline.Entry, _ outline: YAMLOutline) -> Int {
    outline.lineEnd(of: max(entry.keyRange.upperBound, entry.valueRange.upperBound, 1) - 1)
  }

  /// Applies edits from the start to the end; nil when two of them touch the same bytes.
  private static func apply(_ edits: [Edit], to source: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var done = 0
    // Insertions at one place keep their order, and stand before an edit that starts there.
    let ordered = edits.enumerated().sorted {
      ($0.element.range.lowerBound, $0.element.range.upperBound, $0.offset)
        < ($1.element.range.lowerBound, $1.element.range.upperBound, $1.offset)
    }
    for (_, edit) in ordered {
      guard edit.range.lowerBound >= done else { return nil }
      result.append(contentsOf: source[done..<edit.range.lowerBound])
      result.append(contentsOf: edit.text.utf8)
      done = edit.range.upperBound
    }
    result.append(contentsOf: source[done...])
    return result
  }

  /// Equality of values and types, whatever the order of keys; NaN equals itself.
  private static func hasSameValues(_ left: ConfigValue, _ right: ConfigValue) -> Bool {
    switch (left, right) {
    case (.object(let left), .object(let right)):
      left.count == right.count
        && left.allSatisfy { key, value in right[key].map { hasSameValues(value, $0) } ?? false }
    case (.array(let left), .array(let right)):
      left.count == right.count && zip(left, right).allSatisfy { hasSameValues($0, $1) }
    case (.number(let left), .number(let right)):
      left == right || left.double.isNaN && right.double.isNaN
    default: left == right
    }
  }
}
