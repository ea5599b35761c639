/// Arithmetic between a tensor and a number, in the tensor's own type, bit for bit as torch computes it on the CPU.
///
/// float64 computes in float64. Every smaller type computes one float32 operation and rounds its result to the type, to
/// nearest and ties to even; subnormals are kept. The number is rounded first: to float32, and for a sum or difference from
/// there to the type of the tensor.
///
/// Two operations round twice: `x * a / b` is not `x * (a / b)`, so operations are never merged.
struct ScalarOperation: Sendable, Hashable, CustomStringConvertible {
  /// The four operations.
  enum Kind: Sendable, Hashable {
    /// `x * s`.
    case multiply
    /// `x / s`.
    case divide
    /// `x + s`.
    case add
    /// `x - s`.
    case subtract
  }

  let kind: Kind
  /// The bits of the number: unlike numbers, bits tell -0 from 0 and a NaN equals itself.
  private let bits: UInt64

  /// An operation with a number, which may be infinite or NaN.
  init(_ kind: Kind, _ scalar: Double) {
    self.kind = kind
    bits = scalar.bitPattern
  }

  var scalar: Double { Double(bitPattern: bits) }

  /// True for `x * 1` and `x / 1`, which change no element. A sum with 0 does: -0 becomes 0.
  var isIdentity: Bool { (kind == .multiply || kind == .divide) && scalar == 1 }

  /// Such as `multiply by 0.5`.
  var description: String {
    switch kind {
    case .multiply: "multiply by \(scalar)"
    case .divide: "divide by \(scalar)"
    case .add: "add \(scalar)"
    case .subtract: "subtract \(scalar)"
    }
  }
}
