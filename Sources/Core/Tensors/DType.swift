/// The element type of a tensor, named as torch names it.
///
/// The cases are the types that torch checkpoints and safetensors files of model weights hold.
package enum DType: String, Sendable, Hashable, CaseIterable {
  case float64, float32, float16, bfloat16
  case float8E4M3FN = "float8_e4m3fn"
  case float8E5M2 = "float8_e5m2"
  case int64, int32, int16, int8, uint8
  case uint64, uint32, uint16
  case bool
  case complex32, complex64, complex128

  /// Bytes of one element.
  package var size: Int {
    switch self {
    case .complex128: 16
    case .float64, .int64, .uint64, .complex64: 8
    case .float32, .int32, .uint32, .complex32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float8E4M3FN, .float8E5M2, .int8, .uint8, .bool: 1
    }
  }

  /// True for the real floating-point types, the only ones a change of precision applies to.
  var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16, .float8E4M3FN, .float8E5M2: true
    default: false
    }
  }
}
