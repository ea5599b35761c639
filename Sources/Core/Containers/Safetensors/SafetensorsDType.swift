/// The element types of safetensors by the names its headers use.
enum SafetensorsDType {
  /// Type and name, in the order in which the library sorts types: the last come first in a file.
  ///
  /// Source: `enum Dtype` in safetensors/src/tensor.rs, whose derived order the writer sorts by.
  private static let ordered: [(DType, String)] = [
    (.bool, "BOOL"), (.uint8, "U8"), (.int8, "I8"), (.float8E5M2, "F8_E5M2"), (.float8E4M3FN, "F8_E4M3"),
    (.int16, "I16"), (.uint16, "U16"), (.float16, "F16"), (.bfloat16, "BF16"), (.int32, "I32"), (.uint32, "U32"),
    (.float32, "F32"), (.complex64, "C64"), (.float64, "F64"), (.int64, "I64"), (.uint64, "U64"),
  ]

  private static let types = Dictionary(uniqueKeysWithValues: ordered.map { ($1, $0) })
  private static let names = Dictionary(uniqueKeysWithValues: ordered.map { ($0, $1) })
  private static let ranks = Dictionary(uniqueKeysWithValues: ordered.enumerated().map { ($1.0, $0) })

  /// The type of a name, nil for those that no `DType` stands for.
  static func dtype(_ name: String) -> DType? { types[name] }

  /// The name of a type, nil for `complex32` and `complex128`.
  static func name(_ dtype: DType) -> String? { names[dtype] }

  /// Position in the library's order.
  static func rank(_ dtype: DType) -> Int { ranks[dtype] ?? 0 }
}
