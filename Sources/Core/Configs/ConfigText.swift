/// The text of a config as UTF-8, and what a file is that is no config at all.
enum ConfigText {
  /// The bytes in UTF-8.
  ///
  /// UTF-16 and UTF-32 are found as Python finds them: by a byte order mark, as `json.loads` and PyYAML do, and without one
  /// by where the zeros of the first four bytes lie, as `json.detect_encoding` does, unless the text is known to be YAML.
  /// Throws `.unreadableInput` when the text is damaged. Complexity: O(bytes).
  static func utf8(
    _ bytes: [UInt8], name: String, syntax: ConfigDocument.Syntax?
  ) throws(ConversionError) -> [UInt8] {
    guard let encoding = Encoding(bytes, guesses: syntax != .yaml) else { return bytes }
    guard let text = encoding.decode(bytes) else {
      throw ConversionError(
        .unreadableInput, "\(name) looks like \(encoding.description) text, but is damaged; save it as UTF-8")
    }
    return Array(text.utf8)
  }

  /// Refuses what is no config: a checkpoint, a web page, a pointer to a file. `head` is the beginning of the file.
  ///
  /// Throws `.unreadableInput` with the same words that a checkpoint of this kind gets.
  static func check(_ head: [UInt8], size: Int, name: String) throws(ConversionError) {
    guard Encoding(head, guesses: false) == nil, let other = CheckpointSignature.insteadOfText(head, size: size) else {
      return
    }
    throw ConversionError(.unreadableInput, "\(name) \(other)")
  }

  private struct Encoding {
    let width: Int
    let isBigEndian: Bool
    let mark: Int

    init?(_ bytes: [UInt8], guesses: Bool) {
      func starts(_ mark: UInt8...) -> Bool { bytes.starts(with: mark) }
      if starts(0, 0, 0xFE, 0xFF) {
        self.init(width: 4, isBigEndian: true, mark: 4)
      } else if starts(0xFF, 0xFE, 0, 0) {
        self.init(width: 4, isBigEndian: false, mark: 4)
      } else if starts(0xFE, 0xFF) {
        self.init(width: 2, isBigEndian: true, mark: 2)
      } else if starts(0xFF, 0xFE) {
        self.init(width: 2, isBigEndian: false, mark: 2)
      } else if guesses, bytes.count >= 4, bytes[0] == 0, bytes[1] != 0 || bytes[2] == 0 {
        self.init(width: bytes[1] != 0 ? 2 : 4, isBigEndian: true, mark: 0)
      } else if guesses, bytes.count >= 4, bytes[0] != 0, bytes[1] == 0 {
        self.init(width: bytes[2] != 0 || bytes[3] != 0 ? 2 : 4, isBigEndian: false, mark: 0)
      } else if guesses, bytes.count == 2, (bytes[0] == 0) != (bytes[1] == 0) {
        self.init(width: 2, isBigEndian: bytes[0] == 0, mark: 0)
      } else {
        return nil
      }
    }

    private init(width: Int, isBigEndian: Bool, mark: Int) {
      self.width = width
      self.isBigEndian = isBigEndian
      self.mark = mark
    }

    var description: String { "UTF-\(width * 8)" }

    func decode(_ bytes: [UInt8]) -> String? {
      let content = bytes.dropFirst(mark)
      guard content.count.isMultiple(of: width) else { return nil }
      var units: [UInt32] = []
      units.reserveCapacity(content.count / width)
      for start in stride(from: content.startIndex, to: content.endIndex, by: width) {
        let unit = content[start..<start + width]
        units.append((isBigEndian ? Array(unit) : unit.reversed()).reduce(0) { $0 << 8 | UInt32($1) })
      }
      if width == 4 { return String(validating: units, as: UTF32.self) }
      return String(validating: units.map { UInt16(truncatingIfNeeded: $0) }, as: UTF16.self)
    }
  }
}
