/// Integers of any length between Python's two's complement bytes and decimal digits.
enum DecimalInteger {
  /// The integer of little-endian two's complement bytes; no bytes are zero.
  ///
  /// Complexity: O(bytes squared); callers bound the length by `Limits.pickleInteger`.
  static func value(littleEndian bytes: [UInt8]) -> PickleValue {
    let negative = bytes.last.map { $0 >= 0x80 } ?? false
    if bytes.count <= 8 {
      var bits: UInt64 = negative ? .max : 0
      for byte in bytes.reversed() { bits = bits << 8 | UInt64(byte) }
      return .int(Int(bitPattern: UInt(bits)))
    }
    let magnitude = negative ? negated(bytes) : bytes
    // Base 10^9, least significant part first.
    var parts: [UInt64] = [0]
    for byte in magnitude.reversed() {
      var carry = UInt64(byte)
      for index in parts.indices {
        let sum = parts[index] * 256 + carry
        parts[index] = sum % 1_000_000_000
        carry = sum / 1_000_000_000
      }
      if carry > 0 { parts.append(carry) }
    }
    var digits = String(parts[parts.count - 1])
    for part in parts.dropLast().reversed() {
      let text = String(part)
      digits += String(repeating: "0", count: 9 - text.count) + text
    }
    let text = (negative ? "-" : "") + digits
    return Int(text).map(PickleValue.int) ?? .longInt(text)
  }

  /// The shortest little-endian two's complement bytes of a decimal integer, as Python's `encode_long` writes them; nil
  /// when the text is none. Complexity: O(digits squared).
  static func littleEndian(_ text: String) -> [UInt8]? {
    let negative = text.utf8.first == UInt8(ascii: "-")
    let digits = text.utf8.dropFirst(negative ? 1 : 0)
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    var bytes: [UInt8] = []
    for digit in digits {
      var carry = UInt(digit - 0x30)
      for index in bytes.indices {
        let sum = UInt(bytes[index]) * 10 + carry
        bytes[index] = UInt8(truncatingIfNeeded: sum)
        carry = sum >> 8
      }
      if carry > 0 { bytes.append(UInt8(carry)) }
    }
    if bytes.isEmpty { return [] }
    bytes.append(0)
    if negative { bytes = negated(bytes) }
    while bytes.count > 1, let last = bytes.last,
      last == 0 && bytes[bytes.count - 2] < 0x80 || last == 0xFF && bytes[bytes.count - 2] >= 0x80
    {
      bytes.removeLast()
    }
    return bytes
  }

  private static func negated(_ bytes: [UInt8]) -> [UInt8] {
    var carry = true
    return bytes.map { byte in
      let (sum, overflow) = (~byte).addingReportingOverflow(carry ? 1 : 0)
      carry = overflow
      return sum
    }
  }
}
