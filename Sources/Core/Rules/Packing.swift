/// How one tensor holds several: the order of its rows, written as nested loops from the outermost to the innermost.
///
/// GPT-2 keeps all of q, then k, then v: `[.parts, .rest]`. GPT-NeoX keeps q, k and v of head 0, then of head 1, ...:
/// `[.dimension(.cs("num_heads")), .parts, .rest]`. Unpacking gives each part the rows of the remaining loops; packing is
/// the derived inverse.
public struct Packing: Sendable, Hashable {
  /// One of the nested loops over the rows.
  public enum Loop: Sendable, Hashable {
    /// Over the parts. Exactly once.
    case parts
    /// Over so many.
    case dimension(Dimension)
    /// Over what remains. At most once.
    case rest
  }

  /// The loops, outermost first.
  public let rows: [Loop]
  /// True when the packed matrix holds its rows as columns.
  public let transposed: Bool
  /// True when each part of a matrix must have as many rows as columns.
  public let square: Bool
  /// The parts whose rows are also reordered for rotary embeddings.
  public let rotary: RotaryPairs?

  /// A packing.
  public init(rows: [Loop], transposed: Bool = false, square: Bool = false, rotary: RotaryPairs? = nil) {
    self.rows = rows
    self.transposed = transposed
    self.square = square
    self.rotary = rotary
  }

  /// The parts of a packed tensor. Throws when its rows cannot be divided so.
  func unpack(_ packed: SymbolicTensor, into count: Int, _ context: RuleContext) throws(RuleFailure) -> [SymbolicTensor]
  {
    let tensor = transposed ? packed.matrixTransposed : packed
    guard let rowCount = tensor.shape.first else { throw RuleFailure("a scalar cannot hold \(count) packed parts") }
    let lengths = try lengths(rowCount: rowCount, parts: count, context)
    guard let lengths else {
      throw RuleFailure(
        "shape \(packed.shape) cannot hold \(count) packed parts: \(rowCount) rows do not divide evenly")
    }
    let partShape = [rowCount / count] + tensor.shape.dropFirst()
    if square, partShape.count == 2, partShape[0] != partShape[1] {
      throw RuleFailure(
        "shape \(packed.shape) cannot hold \(count) packed square matrices: each would have shape \(partShape)")
    }
    var parts: [SymbolicTensor] = []
    do throws(SymbolicTensor.ShapeError) {
      if rows.first == .parts {
        for index in 0..<count {
          parts.append(try tensor.sliced(axis: 0, index * partShape[0]..<(index + 1) * partShape[0]))
        }
      } else {
        let axis = partsAxis
        let split = try tensor.reshaped(lengths + tensor.shape.dropFirst())
        for index in 0..<count {
          parts.append(try split.sliced(axis: axis, index..<index + 1).reshaped(partShape))
        }
      }
    } catch { throw RuleFailure(error.message) }
    guard let rotary else { return parts }
    var rotated: [SymbolicTensor] = []
    for (index, part) in parts.enumerated() {
      rotated.append(rotary.parts.contains(index) ? try rotary.interleave(part, context) : part)
    }
    return rotated
  }

  /// The tensor that holds the parts, in the wider precision where halves and float32 meet, as `torch.cat` has it.
  ///
  /// Throws when their shapes or dtypes differ otherwise, or their rows cannot be divided so.
  func pack(_ parts: [SymbolicTensor], _ context: RuleContext) throws(RuleFailure) -> SymbolicTensor {
    let mixed = Set(parts.map(\.dtype))
    let promotes = mixed.count > 1 && mixed.isSubset(of: [.float16, .bfloat16, .float32])
    var operands: [SymbolicTensor] = []
    for (index, part) in parts.enumerated() {
      let part = promotes ? part.cast(to: .float32) : part
      guard part.shape == parts[0].shape, !part.shape.isEmpty else {
        throw RuleFailure("the parts have different shapes: \(parts.map(\.shape))")
      }
      let reorder = rotary.map { $0.parts.contains(index) } ?? false
      operands.append(reorder ? try rotary?.separate(part, context) ?? part : part)
    }
    do throws(SymbolicTensor.ShapeError) {
      let packed: SymbolicTensor
      if rows.first == .parts {
        packed = try .concatenated(operands, axis: 0)
      } else {
        let rowCount = operands[0].shape[0]
        let (packedRows, overflow) = rowCount.multipliedReportingOverflow(by: parts.count)
        guard !overflow, var lengths = try? lengths(rowCount: packedRows, parts: parts.count, context) else {
          throw SymbolicTensor.ShapeError(message: "\(rowCount) rows do not divide evenly for packing")
        }
        let axis = partsAxis
        lengths[axis] = 1
        let columns = operands[0].shape.dropFirst()
        var split: [SymbolicTensor] = []
        for operand in operands { split.append(try operand.reshaped(lengths + columns)) }
        packed = try SymbolicTensor.concatenated(split, axis: axis).reshaped([packedRows] + columns)
      }
      return transposed ? packed.matrixTransposed : packed
    } catch { throw RuleFailure(error.message) }
  }

  private var partsAxis: Int { rows.firstIndex(of: .parts) ?? 0 }

  /// The length of each loop, or nil when the rows do not divide evenly.
  private func lengths(rowCount: Int, parts: Int, _ context: RuleContext) throws(RuleFailure) -> [Int]? {
    var lengths: [Int] = []
    var known = 1
    for loop in rows {
      switch loop {
      case .parts: lengths.append(parts)
      case .dimension(let dimension): lengths.append(try context.length(dimension))
      case .rest: lengths.append(0)
      }
      if let last = lengths.last, last > 0 {
        let (product, overflow) = known.multipliedReportingOverflow(by: last)
        if overflow { return nil }
        known = product
      }
    }
    guard rowCount % known == 0 else { return nil }
    guard let rest = lengths.firstIndex(of: 0) else { return rowCount == known ? lengths : nil }
    lengths[rest] = rowCount / known
    return lengths
  }
}

/// The reordering of q and k rows between two conventions of rotary position embeddings.
///
/// Hugging Face rotates the first half of a head's rotary rows against the second half; the Model Zoo rotates each even row
/// against the odd row after it. Only the first `rotary` rows of each head take part; the others stay.
public struct RotaryPairs: Sendable, Hashable {
  /// Positions, among the packed parts, of those that are reordered: normally q and k.
  public let parts: Set<Int>
  /// Heads of the model.
  public let heads: Dimension
  /// Rows of each head that take part. Even.
  public let rotary: Dimension

  /// A reordering.
  public init(parts: Set<Int> = [0], heads: Dimension, rotary: Dimension) {
    self.parts = parts
    self.heads = heads
    self.rotary = rotary
  }

  /// Halves to pairs: the Hugging Face order to the Model Zoo order.
  func interleave(_ tensor: SymbolicTensor, _ context: RuleContext) throws(RuleFailure) -> SymbolicTensor {
    try reorder(tensor, context) { [2, $0 / 2] }
  }

  /// Pairs to halves: the inverse.
  func separate(_ tensor: SymbolicTensor, _ context: RuleContext) throws(RuleFailure) -> SymbolicTensor {
    try reorder(tensor, context) { [$0 / 2, 2] }
  }

  private func reorder(
    _ tensor: SymbolicTensor, _ context: RuleContext, order: (Int) -> [Int]
  ) throws(RuleFailure) -> SymbolicTensor {
    let heads = try context.length(self.heads)
    let rotary = try context.length(self.rotary)
    guard let rows = tensor.shape.first, rows % heads == 0, rotary % 2 == 0, rotary <= rows / heads else {
      throw RuleFailure(
        "shape \(tensor.shape) has no \(heads) heads with \(rotary) rotary rows each; the rotary rows must be even")
    }
    let columns = Array(tensor.shape.dropFirst())
    do throws(SymbolicTensor.ShapeError) {
      let split = try tensor.reshaped([heads, rows / heads] + columns)
      let turned = try split.sliced(axis: 1, 0..<rotary)
        .reshaped([heads] + order(rotary) + columns)
        .permuted([0, 2, 1] + columns.indices.map { $0 + 3 })
        .reshaped([heads, rotary] + columns)
      let kept = try split.sliced(axis: 1, rotary..<rows / heads)
      let whole = rotary == rows / heads ? turned : try .concatenated([turned, kept], axis: 1)
      return try whole.reshaped(tensor.shape)
    } catch { throw RuleFailure(error.message) }
  }
}
