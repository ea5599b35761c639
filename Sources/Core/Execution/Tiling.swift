/// Cuts a tensor into boxes that lie behind one another in row-major order.
enum Tiling {
  /// Calls `body` with boxes of at most `elements` elements each, in row-major order. An empty tensor has none.
  ///
  /// Complexity: O(boxes).
  static func forEachTile<Failure: Error>(
    of shape: [Int], elements: Int, _ body: (TileEvaluator.Box) throws(Failure) -> Void
  ) throws(Failure) {
    guard !shape.contains(0) else { return }
    // The axis that is cut: everything inside it fits a box, it itself may not.
    var axis = shape.count
    var inner = 1
    while axis > 0, inner * shape[axis - 1] <= elements {
      axis -= 1
      inner *= shape[axis]
    }
    guard axis > 0 else {
      try body(.init(lower: shape.map { _ in 0 }, count: shape))
      return
    }
    let cut = axis - 1
    let rows = max(elements / inner, 1)
    var box = TileEvaluator.Box(lower: shape.map { _ in 0 }, count: shape)
    for outer in 0..<cut { box.count[outer] = 1 }
    while true {
      for start in stride(from: 0, to: shape[cut], by: rows) {
        box.lower[cut] = start
        box.count[cut] = min(rows, shape[cut] - start)
        try body(box)
      }
      var outer = cut - 1
      while outer >= 0 {
        box.lower[outer] += 1
        if box.lower[outer] < shape[outer] { break }
        box.lower[outer] = 0
        outer -= 1
      }
      if outer < 0 { return }
    }
  }
}
