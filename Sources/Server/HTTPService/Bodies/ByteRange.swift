import API

/// What a `Range` header asks of a file, after RFC 9110, section 14.
enum ByteRange: Equatable, Sendable {
  /// No range, or one that a server may ignore: another unit, several ranges, bad syntax.
  case whole
  /// These bytes; not empty, inside the file.
  case part(Range<Int>)
  /// Bytes that the file does not have.
  case unsatisfiable

  /// Reads a header. `size` is that of the file.
  init(_ header: String?, size: Int) {
    guard let header, let equals = header.firstIndex(of: "="),
      header[..<equals].lowercased() == "bytes"
    else {
      self = .whole
      return
    }
    let spec = header[header.index(after: equals)...].trimmingSpaces
    let ends = spec.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, !spec.contains(",") else {
      self = .whole
      return
    }
    switch (Self.number(ends[0]), Self.number(ends[1])) {
    case (.absent, .value(let suffix)):
      self = suffix == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - suffix)..<size)
    case (.value(let first), .absent):
      self = first < size ? .part(first..<size) : .unsatisfiable
    case (.value(let first), .value(let last)):
      guard first <= last else {
        self = .whole
        return
      }
      self = first < size ? .part(first..<(min(last, size - 1) + 1)) : .unsatisfiable
    default:
      self = .whole
    }
  }

  private enum Number {
    case absent
    case value(Int)
    case invalid
  }

  /// Digits only. A number beyond 64 bits is beyond every file as well.
  private static func number(_ text: Substring) -> Number {
    let digits = text.trimmingSpaces
    if digits.isEmpty { return .absent }
    guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return .invalid }
    return .value(Int(digits) ?? .max)
  }
}
