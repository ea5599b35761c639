/// How one tensor holds several: the order of its rows, written as nested loops from the outermost to the innermost.
///
/// GPT-2 keeps all of q, then k, then v: `[.parts, .rest]`. GPT-NeoX keeps q, k and v of head 0, then of head 1, ...:
/// `[.dimension(.cs("num_heads")), .parts, .rest]`. Unpacking gives each part the rows of the remaining loops; packing is
/// the derived inverse.
///
/// Parts of different sizes have shares: with grouped queries, each group holds `heads / groups` heads of q, then one of k
/// and one of v: `[.dimension(groups), .parts, .rest]` with the shares `[heads / groups, 1, 1]`.
struct Packing: Sendable, Hashable {
  /// One of the nested loops over the rows.
  enum Loop: Sendable, Hashable {
    /// Over the parts, each as often as its share says. Exactly once.
    case parts
    /// Over so many.
    case dimension(Dimension)
    /// Over what remains. At most once.
    case rest
  }

  /// The loops, outermost first.
  let rows: [Loop]
  /// How many turns of the loop over parts belong to each part; nil is one for each.
  let shares: [Dimension]?
  /// True when the packed matrix holds its rows as columns.
  let transposed: Bool
  /// True when each part of a matrix must have as many rows as columns.
  let square: Bool
  /// The parts whose rows are also reordered for rotary embeddings.
  let rotary: [RotaryPairs]

  init(
    rows: [Loop], shares: [Dimension]? = nil, transposed: Bool = false, square: Bool = false,
    rotary: [RotaryPairs] = []
  ) {
    self.rows = rows
    self.shares = shares
    self.transposed = transposed
    self.square = square
    self.rotary = rotary
  }

  /// The parts of a packed tensor. Throws when its rows cannot be divided so.
  func unpack(_ packed: SymbolicTensor, into count: Int, _ context: RuleContext) throws(RuleFailure) -> [SymbolicTensor]
  {
    let tensor = transposed ? packed.matrixTransposed : packed
    guard let rowCount = tensor.shape.first else { throw RuleFailure("a scalar cannot hold \(count) packed parts") }
    let turns = try turns(of: count, context)
    guard let lengths = try lengths(rowCount: rowCount, turns: turns.total, context) else {
      throw RuleFailure(
        "shape \(packed.shape) cannot hold \(count) packed parts: \(rowCount) rows do not divide evenly")
    }
    let unit = rowCount / turns.total
    let columns = tensor.shape.dropFirst()
    if square, columns.count == 1, let part = turns.ranges.first, part.count * unit != columns.first {
      throw RuleFailure(
        "shape \(packed.shape) cannot hold \(count) packed square matrices: each would have shape "
          + "\([part.count * unit] + columns)")
    }
    var parts: [SymbolicTensor] = []
    do throws(SymbolicTensor.ShapeError) {
      if rows.first == .parts {
        for range in turns.ranges {
          parts.append(try tensor.sliced(axis: 0, range.lowerBound * unit..<range.upperBound * unit))
        }
      } else {
        let split = try tensor.reshaped(lengths + columns)
        for range in turns.ranges {
          parts.append(try split.sliced(axis: partsAxis, range).reshaped([range.count * unit] + columns))
        }
      }
    } catch { throw RuleFailure(error.message) }
    return try reordered(parts) { (pairs, part) throws(RuleFailure) in try pairs.interleave(part, context) }
  }

  /// The tensor that holds the parts, in the wider precision where halves and float32 meet, as `torch.cat` has it.
  ///
  /// Throws when their shapes or dtypes differ otherwise, or their rows cannot be divided so.
  func pack(_ parts: [SymbolicTensor], _ context: RuleContext) throws(RuleFailure) -> SymbolicTensor {
    let turns = try turns(of: parts.count, context)
    let mixed = Set(parts.map(\.dtype))
    let promotes = mixed.count > 1 && mixed.isSubset(of: [.float16, .bfloat16, .float32])
    let widened = promotes ? parts.map { $0.cast(to: .float32) } : parts
    let columns = parts[0].shape.dropFirst()
    guard
      zip(widened, turns.ranges).allSatisfy({ part, range in
        part.shape.dropFirst() == columns
          && part.shape.first.map { $0 % range.count == 0 && $0 / range.count == unitRows(parts[0], turns) } ?? false
      })
    else { throw RuleFailure("the parts have different shapes: \(parts.map(\.shape))") }
    let operands = try reordered(widened) { (pairs, part) throws(RuleFailure) in try pairs.separate(part, context) }
    do throws(SymbolicTensor.ShapeError) {
      let packed: SymbolicTensor
      if rows.first == .parts {
        packed = try .concatenated(operands, axis: 0)
      } else {
        let (rowCount, overflow) = unitRows(parts[0], turns).multipliedReportingOverflow(by: turns.total)
        guard !overflow, var lengths = try? lengths(rowCount: rowCount, turns: turns.total, context) else {
          throw SymbolicTensor.ShapeError(message: "the rows of \(parts.map(\.shape)) do not divide evenly for packing")
        }
        var split: [SymbolicTensor] = []
        for (operand, range) in zip(operands, turns.ranges) {
          lengths[partsAxis] = range.count
          split.append(try operand.reshaped(lengths + columns))
        }
        packed = try SymbolicTensor.concatenated(split, axis: partsAxis).reshaped([rowCount] + columns)
      }
      return transposed ? packed.matrixTransposed : packed
    } catch { throw RuleFailure(error.message) }
  }

  /// Rows of the first part in one turn of the loop over parts.
  private func unitRows(_ first: SymbolicTensor, _ turns: (ranges: [Range<Int>], total: Int)) -> Int {
    (first.shape.first ?? 0) / max(turns.ranges[0].count, 1)
  }

  private func reordered(
    _ parts: [SymbolicTensor], _ turn: (RotaryPairs, SymbolicTensor) throws(RuleFailure) -> SymbolicTensor
  ) throws(RuleFailure) -> [SymbolicTensor] {
    var result = parts
    for pairs in rotary {
      for part in pairs.parts where result.indices.contains(part) { result[part] = try turn(pairs, result[part]) }
    }
    return result
  }

  private var partsAxis: Int { rows.firstIndex(of: .parts) ?? 0 }

  /// Which turns of the loop over parts belong to each part.
  private func turns(of count: Int, _ context: RuleContext) throws(RuleFailure) -> (ranges: [Range<Int>], total: Int) {
    var ranges: [Range<Int>] = []
    var end = 0
    for index in 0..<count {
      let share = try shares.map { (shares) throws(RuleFailure) in try context.length(shares[index]) } ?? 1
      let (next, overflow) = end.addingReportingOverflow(share)
      guard share > 0, !overflow else { throw RuleFailure("the parts of a packed tensor have no usable shares") }
      ranges.append(end..<next)
      end = next
    }
    return (ranges, end)
  }

  /// The length of each loop, or nil when the rows do not divide evenly.
  private func lengths(rowCount: Int, turns: Int, _ context: RuleContext) throws(RuleFailure) -> [Int]? {
    var lengths: [Int] = []
    var known = 1
    for loop in rows {
      switch loop {
      case .parts: lengths.append(turns)
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
