/// Finds where the elements of a box lie in the operand of a reshape.
///
/// Shapes are cut into groups of axes with equal products; within a group a box becomes runs of consecutive elements, and
/// each run becomes a few boxes of the operand.
enum ReshapedBox {
  /// A box of the operand, and where it goes: an offset and strides in the target, in elements.
  struct Piece {
    var box: TileEvaluator.Box
    var offset: Int
    var strides: [Int]
  }

  /// The pieces that make up `box` of a tensor of `shape` whose operand has another shape with as many elements.
  ///
  /// Complexity: O(pieces), which is at most the rows of the box along axes that the reshape splits or merges.
  static func pieces(of box: TileEvaluator.Box, strides: [Int], shape: [Int], operand: [Int]) -> [Piece] {
    var pieces = [Piece(box: .init(lower: [], count: []), offset: 0, strides: [])]
    for group in groups(shape, operand) {
      let inner = Array(operand[group.operand])
      var parts: [Piece] = []
      for run in runs(
        lower: Array(box.lower[group.outer]), count: Array(box.count[group.outer]),
        strides: Array(strides[group.outer]), shape: Array(shape[group.outer]))
      {
        for found in boxes(inner, run.first, run.first + run.count) {
          let flat = TensorShape.contiguousStrides(inner)
          let start = zip(found.lower, flat).reduce(0) { $0 + $1.0 * $1.1 }
          parts.append(
            Piece(
              box: found, offset: run.offset + (start - run.first) * run.stride,
              strides: flat.map { $0 * run.stride }))
        }
      }
      pieces = pieces.flatMap { piece in
        parts.map { part in
          Piece(
            box: .init(lower: piece.box.lower + part.box.lower, count: piece.box.count + part.box.count),
            offset: piece.offset + part.offset, strides: piece.strides + part.strides)
        }
      }
    }
    return pieces
  }

  /// Consecutive axes of both shapes with equal products, as short as possible.
  static func groups(_ shape: [Int], _ operand: [Int]) -> [(outer: Range<Int>, operand: Range<Int>)] {
    var groups: [(outer: Range<Int>, operand: Range<Int>)] = []
    var i = 0
    var j = 0
    while i < shape.count || j < operand.count {
      let (startI, startJ) = (i, j)
      var productI = 1
      var productJ = 1
      if i < shape.count {
        productI = shape[i]
        i += 1
      }
      if j < operand.count {
        productJ = operand[j]
        j += 1
      }
      while productI != productJ {
        if productI < productJ, i < shape.count {
          productI *= shape[i]
          i += 1
        } else if j < operand.count {
          productJ *= operand[j]
          j += 1
        } else if i < shape.count {
          productI *= shape[i]
          i += 1
        } else {
          break
        }
      }
      groups.append((startI..<i, startJ..<j))
    }
    return groups
  }

  private struct Run {
    var first: Int
    var count: Int
    var offset: Int
    var stride: Int
  }

  /// The box of a group as runs of consecutive elements with one target stride each.
  private static func runs(lower: [Int], count: [Int], strides: [Int], shape: [Int]) -> [Run] {
    let flat = TensorShape.contiguousStrides(shape)
    var runs = [Run(first: 0, count: 1, offset: 0, stride: 1)]
    for axis in shape.indices.reversed() {
      // Rows that are complete and follow one another in the target too make one longer run.
      if runs.count == 1, runs[0].count == flat[axis],
        flat[axis] == 1 || strides[axis] == runs[0].stride * flat[axis]
      {
        let stride = flat[axis] == 1 ? strides[axis] : runs[0].stride
        runs[0] = Run(first: lower[axis] * flat[axis], count: count[axis] * flat[axis], offset: 0, stride: stride)
        continue
      }
      runs = (0..<count[axis]).flatMap { index in
        runs.map { run in
          Run(
            first: run.first + (lower[axis] + index) * flat[axis], count: run.count,
            offset: run.offset + index * strides[axis], stride: run.stride)
        }
      }
    }
    return runs
  }

  /// The boxes that hold the elements from `first` up to `end` of a row-major tensor.
  private static func boxes(_ shape: [Int], _ first: Int, _ end: Int) -> [TileEvaluator.Box] {
    guard let length = shape.first else { return [.init(lower: [], count: [])] }
    let rest = Array(shape.dropFirst())
    let row = rest.reduce(1, *)
    let firstRow = first / row
    let lastRow = (end - 1) / row
    func within(_ index: Int, _ from: Int, _ to: Int) -> [TileEvaluator.Box] {
      boxes(rest, from, to).map { .init(lower: [index] + $0.lower, count: [1] + $0.count) }
    }
    if rest.isEmpty { return [.init(lower: [first], count: [end - first])] }
    precondition(lastRow < length, "the run lies inside the tensor")
    if firstRow == lastRow, end - first < row { return within(firstRow, first - firstRow * row, end - firstRow * row) }
    var result: [TileEvaluator.Box] = []
    var from = firstRow
    if first % row != 0 {
      result += within(firstRow, first % row, row)
      from += 1
    }
    let to = end % row == 0 ? lastRow + 1 : lastRow
    if from < to {
      result.append(.init(lower: [from] + rest.map { _ in 0 }, count: [to - from] + rest))
    }
    if end % row != 0 { result += within(lastRow, 0, end % row) }
    return result
  }
}
