/// The reordering of q and k rows between two conventions of rotary position embeddings.
///
/// Hugging Face rotates the first half of a head's rotary rows against the second half; the Model Zoo rotates each even row
/// against the odd row after it. Only the first `rotary` rows of each head take part; the others stay.
struct RotaryPairs: Sendable, Hashable {
  /// Positions, among the packed parts, of those that are reordered: normally q and k.
  let parts: Set<Int>
  /// Heads of the model.
  let heads: Dimension
  /// Rows of each head that take part. Even.
  let rotary: Dimension

  init(parts: Set<Int> = [0], heads: Dimension, rotary: Dimension) {
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
