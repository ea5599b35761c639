/// The precision that floating-point tensors are written in. Integers, booleans and masks are never touched.
package enum Precision: String, Sendable, Hashable, CaseIterable, Codable {
  /// Each tensor's own.
  case keep
  case float32, float16, bfloat16

  /// The element type; nil for `keep`.
  package var dtype: DType? { DType(rawValue: rawValue) }
}
