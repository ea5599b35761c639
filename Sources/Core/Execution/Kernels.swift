/// Copies of strided boxes between buffers, by element size. This and what is computed on elements is the only code that
/// touches every element.
enum Kernels {
  /// One axis of a box: how many, and the distance of neighbours in source and target, in elements.
  struct Axis: Equatable {
    var count: Int
    var source: Int
    var target: Int
  }

  /// Copies a box of elements. Offsets are the positions of the first element, in elements.
  ///
  /// Precondition: every element of the box lies inside both buffers. Complexity: O(elements).
  static func copy(
    _ axes: [Axis], elementSize: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer
  ) {
    let axes = simplified(axes)
    switch elementSize {
    case 1: copy(axes, as: UInt8.self, source, target)
    case 2: copy(axes, as: UInt16.self, source, target)
    case 4: copy(axes, as: UInt32.self, source, target)
    case 8: copy(axes, as: UInt64.self, source, target)
    default: copy(axes, as: SIMD2<UInt64>.self, source, target)
    }
  }

  /// Axes of length 1 removed, neighbours that run on merged, the axis with the smallest target stride last.
  static func simplified(_ axes: [Axis]) -> [Axis] {
    var result: [Axis] = []
    for axis in axes.filter({ $0.count != 1 }).sorted(by: { ($0.target, $0.source) > ($1.target, $1.source) }) {
      if let outer = result.last, outer.target == axis.target * axis.count, outer.source == axis.source * axis.count {
        result[result.count - 1] = Axis(count: outer.count * axis.count, source: axis.source, target: axis.target)
      } else {
        result.append(axis)
      }
    }
    return result
  }

  /// Visits the elements of a strided box as few and as long runs: offset of the first, count and stride, in elements. The
  /// order of elements is any; each is visited once.
  ///
  /// Precondition: the box is not empty.
  static func forEachRun(
    _ counts: [Int], _ strides: [Int], _ body: (_ offset: Int, _ count: Int, _ stride: Int) -> Void
  ) {
    let axes = simplified(zip(counts, strides).map { Axis(count: $0, source: $1, target: $1) })
    guard let last = axes.last else { return body(0, 1, 1) }
    forEach(axes.dropLast(), 0, 0) { offset, _ in body(offset, last.count, last.target) }
  }

  private static func copy<Element>(
    _ axes: [Axis], as type: Element.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer
  ) {
    let from = source.assumingMemoryBound(to: Element.self)
    let to = target.assumingMemoryBound(to: Element.self)
    guard let last = axes.last else {
      to.update(from: from, count: 1)
      return
    }
    if axes.count == 1 {
      copyRow(last, from, to)
      return
    }
    // A transpose is the pair of the target's inner axis and the axis along which the source runs on.
    if last.source != 1, let inner = axes.dropLast().firstIndex(where: { $0.source == 1 }) {
      var outer = axes
      outer.remove(at: axes.count - 1)
      outer.remove(at: inner)
      forEach(outer[...], 0, 0) { transpose(rows: axes[inner], columns: last, from + $0, to + $1) }
      return
    }
    forEach(axes.dropLast(), 0, 0) { copyRow(last, from + $0, to + $1) }
  }

  /// Calls `body` with the source and target offset of each position of the axes.
  private static func forEach(_ axes: ArraySlice<Axis>, _ source: Int, _ target: Int, _ body: (Int, Int) -> Void) {
    guard let axis = axes.first else {
      body(source, target)
      return
    }
    for index in 0..<axis.count {
      forEach(axes.dropFirst(), source + index * axis.source, target + index * axis.target, body)
    }
  }

  @inline(__always)
  private static func copyRow<Element>(
    _ axis: Axis, _ from: UnsafePointer<Element>, _ to: UnsafeMutablePointer<Element>
  ) {
    if axis.source == 1, axis.target == 1 {
      to.update(from: from, count: axis.count)
      return
    }
    var source = 0
    var target = 0
    for _ in 0..<axis.count {
      to[target] = from[source]
      source &+= axis.source
      target &+= axis.target
    }
  }

  /// `rows` run on in the source, `columns` in the target. Blocks keep both sides inside the first-level cache; within a
  /// block the target is written along its rows, which is what the memory system likes best.
  private static func transpose<Element>(
    rows: Axis, columns: Axis, _ from: UnsafePointer<Element>, _ to: UnsafeMutablePointer<Element>
  ) {
    let block = max(8, 64 / MemoryLayout<Element>.stride)
    let columnBlock = block * 4
    var row = 0
    while row < rows.count {
      let rowEnd = min(row + block, rows.count)
      var column = 0
      while column < columns.count {
        let columnEnd = min(column + columnBlock, columns.count)
        for r in row..<rowEnd {
          var source = from + (r &* rows.source &+ column &* columns.source)
          var target = to + (r &* rows.target &+ column &* columns.target)
          for _ in column..<columnEnd {
            target.pointee = source.pointee
            source += columns.source
            target += columns.target
          }
        }
        column = columnEnd
      }
      row = rowEnd
    }
  }
}
