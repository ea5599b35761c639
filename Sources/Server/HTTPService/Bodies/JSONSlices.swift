import Foundation

/// Finds the members of a JSON object as slices of the original text.
///
/// A config that a client gives inline must reach the converter byte for byte: order of keys and spelling of numbers
/// are part of it, and a decoder keeps neither. The text must have passed a JSON parser before.
enum JSONSlices {
  /// The text of the member, without white space around it. The last one counts when a key is repeated.
  static func member(_ name: String, of object: Substring) -> Substring? {
    let bytes = object.utf8
    var index = bytes.startIndex
    var depth = 0
    var keyStart: Substring.Index?
    var key: Substring?
    var valueStart: Substring.Index?
    var result: Substring?
    func finish(_ end: Substring.Index) {
      if let start = valueStart, let raw = key, decode(raw) == name { result = object[start..<end].trimmingWhitespace }
      key = nil
      valueStart = nil
    }
    while index < bytes.endIndex {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        keyStart = index
        index = endOfString(bytes, from: index)
        if depth == 1, key == nil, let start = keyStart { key = object[start..<index] }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if depth == 0 { finish(index) }
      case UInt8(ascii: ":") where depth == 1 && valueStart == nil:
        valueStart = bytes.index(after: index)
      case UInt8(ascii: ",") where depth == 1:
        finish(index)
      default:
        break
      }
      index = bytes.index(after: index)
    }
    return result
  }

  /// The texts of the elements of an array, in order.
  static func elements(of array: Substring) -> [Substring] {
    let bytes = array.utf8
    var elements: [Substring] = []
    var index = bytes.startIndex
    var depth = 0
    var start = index
    func finish() {
      let text = array[start..<index].trimmingWhitespace
      if !text.isEmpty { elements.append(text) }
    }
    while index < bytes.endIndex {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        index = endOfString(bytes, from: index)
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        if depth == 1 { start = bytes.index(after: index) }
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if depth == 0 { finish() }
      case UInt8(ascii: ",") where depth == 1:
        finish()
        start = bytes.index(after: index)
      default:
        break
      }
      index = bytes.index(after: index)
    }
    return elements
  }

  /// The index after the closing quote.
  private static func endOfString(_ bytes: Substring.UTF8View, from start: Substring.Index) -> Substring.Index {
    var index = bytes.index(after: start)
    while index < bytes.endIndex, bytes[index] != UInt8(ascii: "\"") {
      if bytes[index] == UInt8(ascii: "\\") { index = bytes.index(after: index) }
      if index < bytes.endIndex { index = bytes.index(after: index) }
    }
    return index < bytes.endIndex ? bytes.index(after: index) : index
  }

  private static func decode(_ literal: Substring) -> String? {
    try? JSONDecoder().decode(String.self, from: Data(literal.utf8))
  }
}

extension Substring {
  /// Without JSON white space at both ends.
  fileprivate var trimmingWhitespace: Substring {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
    var text = drop(while: isSpace)
    while let last = text.last, isSpace(last) { text.removeLast() }
    return text
  }
}
