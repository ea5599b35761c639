/// Text of floats as Python writes it. The only place that knows it; JSON, YAML and f-strings all go through here.
enum PythonFloat {
  /// What `repr(value)` gives: the shortest digits that read back to the same float.
  ///
  /// Fixed notation between 1e-4 and 1e16, else an exponent of at least two digits; `inf`, `-inf`, `nan`.
  /// Source: `float_repr_style == "short"`, format code `r` of CPython's `PyOS_double_to_string`.
  static func repr(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    let (digits, point) = shortestDigits(value.magnitude)
    let sign = value.sign == .minus ? "-" : ""
    let body: String
    if point > 16 || point <= -4 {
      let exponent = point - 1
      let tail = digits.dropFirst()
      let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
      body = "\(digits.prefix(1))\(tail.isEmpty ? "" : ".\(tail)")e\(exponent < 0 ? "-" : "+")\(power)"
    } else if point <= 0 {
      body = "0." + String(repeating: "0", count: -point) + digits
    } else if point >= digits.count {
      body = digits + String(repeating: "0", count: point - digits.count) + ".0"
    } else {
      body = "\(digits.prefix(point)).\(digits.dropFirst(point))"
    }
    return sign + body
  }

  /// What PyYAML writes: `repr` with `.0` put before a bare exponent, because YAML 1.1 floats need a dot.
  ///
  /// Source: `SafeRepresenter.represent_float`.
  static func yaml(_ value: Double) -> String {
    if value.isNaN { return ".nan" }
    if value.isInfinite { return value < 0 ? "-.inf" : ".inf" }
    let text = repr(value)
    guard !text.utf8.contains(UInt8(ascii: ".")), let mark = text.firstIndex(of: "e") else { return text }
    return text[..<mark] + ".0" + text[mark...]
  }

  /// What Python's json module writes: `repr`, or `NaN`, `Infinity`, `-Infinity`, which are no standard JSON.
  static func json(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    return repr(value)
  }

  /// The shortest digits without zeros at either end, and where the decimal point stands relative to their start.
  ///
  /// Swift's own description has the same digits; only its choice of notation differs.
  private static func shortestDigits(_ magnitude: Double) -> (digits: String, point: Int) {
    var digits: [UInt8] = []
    var point: Int?
    var exponent = 0
    let text = Array(magnitude.description.utf8)
    for (index, byte) in text.enumerated() {
      if byte == UInt8(ascii: ".") {
        point = digits.count
      } else if byte == UInt8(ascii: "e") {
        exponent = Int(String(decoding: text[(index + 1)...], as: UTF8.self)) ?? 0
        break
      } else {
        digits.append(byte)
      }
    }
    let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
    let whole = (point ?? digits.count) + exponent - leading
    digits.removeFirst(leading)
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    return digits.isEmpty ? ("0", 1) : (String(decoding: digits, as: UTF8.self), whole)
  }
}
