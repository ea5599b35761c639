/// Numbers as PyYAML constructs them. Each function takes the text of a scalar and answers nil where PyYAML fails.
///
/// Source: `construct_yaml_int` and `construct_yaml_float` in PyYAML 6.0.3's constructor.py.
enum YAMLNumber {
  /// An integer: decimal, `0b`, `0x`, octal with a leading zero, sexagesimal with colons; underscores anywhere.
  ///
  /// Complexity: O(digits) up to 64 bits, O(digits²) beyond; callers bound the digits.
  static func int(_ text: String) -> ConfigNumber.Value? {
    var bytes = text.utf8.filter { $0 != UInt8(ascii: "_") }[...]
    let sign = bytes.first
    let isNegative = sign == UInt8(ascii: "-")
    if isNegative || sign == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
    guard let first = bytes.first else { return nil }
    var radix: UInt32 = 10
    if bytes.count > 1, first == UInt8(ascii: "0") {
      switch bytes[bytes.startIndex + 1] {
      case UInt8(ascii: "b"): (radix, bytes) = (2, bytes.dropFirst(2))
      case UInt8(ascii: "x"): (radix, bytes) = (16, bytes.dropFirst(2))
      default: (radix, bytes) = (8, bytes.dropFirst())
      }
    } else if bytes.contains(UInt8(ascii: ":")) {
      return sexagesimalInt(bytes, isNegative: isNegative)
    }
    guard !bytes.isEmpty else { return nil }
    var magnitude = DecimalMagnitude()
    for byte in bytes {
      guard let digit = digit(byte), digit < radix else { return nil }
      magnitude.multiply(by: radix, adding: digit)
    }
    return magnitude.value(isNegative: isNegative)
  }

  private static func sexagesimalInt(_ bytes: ArraySlice<UInt8>, isNegative: Bool) -> ConfigNumber.Value? {
    var magnitude = DecimalMagnitude()
    for (index, part) in bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).enumerated() {
      guard !part.isEmpty else { return nil }
      var value: UInt32 = 0
      for byte in part {
        guard let digit = digit(byte), digit < 10 else { return nil }
        if index == 0 {
          magnitude.multiply(by: 10, adding: digit)
        } else {
          // The pattern allows two digits here; an explicit tag may bring more.
          let (product, overflow) = value.multipliedReportingOverflow(by: 10)
          guard !overflow, product <= 1_000_000 else { return nil }
          value = product + digit
        }
      }
      if index > 0 { magnitude.multiply(by: 60, adding: value) }
    }
    return magnitude.value(isNegative: isNegative)
  }

  /// A float: decimal, `.inf`, `.nan`, sexagesimal with colons; underscores anywhere; what Python's `float()` takes.
  static func float(_ text: String) -> Double? {
    var bytes = text.utf8.filter { $0 != UInt8(ascii: "_") }.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }[...]
    let sign = bytes.first
    let isNegative = sign == UInt8(ascii: "-")
    if isNegative || sign == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
    let body = String(decoding: bytes, as: UTF8.self)
    if body == ".nan" { return .nan }
    let magnitude: Double
    if body == ".inf" {
      magnitude = .infinity
    } else if bytes.contains(UInt8(ascii: ":")) {
      var sum = 0.0
      var base = 1.0
      for part in body.split(separator: ":", omittingEmptySubsequences: false).reversed() {
        guard let value = pythonFloat(String(part)) else { return nil }
        sum += value * base
        base *= 60
      }
      magnitude = sum
    } else {
      guard let value = pythonFloat(body) else { return nil }
      magnitude = value
    }
    return isNegative ? -magnitude : magnitude
  }

  /// Python's `float(text)` of lower-case text: Swift's parser without its hexadecimal and payload forms.
  private static func pythonFloat(_ text: String) -> Double? {
    switch text {
    case "inf", "infinity": return .infinity
    case "nan": return .nan
    default:
      let allowed = text.utf8.allSatisfy { byte in
        byte >= 0x30 && byte <= 0x39 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e")
          || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
      }
      return allowed ? Double(text) : nil
    }
  }

  private static func digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x41...0x46, 0x61...0x66: UInt32(byte | 0x20) - 0x57
    default: nil
    }
  }
}

/// A natural number that grows digit by digit, in base 10^9 so that its decimal text is at hand.
private struct DecimalMagnitude {
  private static let base: UInt64 = 1_000_000_000
  /// Least significant first.
  private var limbs: [UInt64] = [0]

  mutating func multiply(by factor: UInt32, adding summand: UInt32) {
    var carry = UInt64(summand)
    for index in limbs.indices {
      let product = limbs[index] * UInt64(factor) + carry
      limbs[index] = product % Self.base
      carry = product / Self.base
    }
    if carry > 0 { limbs.append(carry) }
  }

  func value(isNegative: Bool) -> ConfigNumber.Value {
    var text = String(limbs.last ?? 0)
    for limb in limbs.dropLast().reversed() {
      let digits = String(limb)
      text += String(repeating: "0", count: 9 - digits.utf8.count) + digits
    }
    if isNegative, text != "0" { text = "-" + text }
    return Int(text).map { .int($0) } ?? .bigInt(text)
  }
}
