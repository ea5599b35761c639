/// The extent of an HDF5 dataset or attribute.
enum HDF5Dataspace: Sendable, Hashable {
  /// No element at all, h5py's `Empty`.
  case null
  /// A shape; `[]` is one element.
  case simple([Int])

  /// Reads a dataspace message of version 1 or 2.
  ///
  /// Throws `.hostileInput` when the shape exceeds `Limits.rank` or `Limits.elements`.
  init(_ body: HDF5Cursor, file: HDF5File) throws(ConversionError) {
    var cursor = body
    let version = try cursor.u8()
    let rank = try cursor.u8()
    _ = try cursor.u8()
    switch version {
    case 1: try cursor.skip(5)
    case 2:
      // Type 2 is the null dataspace; version 1 has none, and h5py writes version 2 for it.
      if try cursor.u8() == 2 {
        self = .null
        return
      }
    default: throw file.unsupported("an HDF5 dataspace of version \(version)")
    }
    guard rank <= file.limits.rank else { throw file.damaged("a dataset with \(rank) dimensions") }
    var shape: [Int] = []
    for _ in 0..<rank { shape.append(try cursor.length()) }
    if let problem = TensorShape.problem(shape, limits: file.limits) { throw file.damaged("a dataset has \(problem)") }
    self = .simple(shape)
  }

  /// Number of elements; at most `Limits.elements`.
  var elementCount: Int {
    switch self {
    case .null: 0
    case .simple(let shape): TensorShape.elementCount(shape) ?? 0
    }
  }
}
