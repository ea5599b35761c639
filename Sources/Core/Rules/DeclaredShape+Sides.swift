extension Rule {
  /// The shapes that the config gives the tensors of one key pattern of a rule, by whether the key is a bias.
  struct ExpectedShape {
    /// Shape of a key that does not end in `bias`.
    let whole: [Int]
    /// Shape of a key that ends in `bias`.
    let bias: [Int]
  }

  /// What the declaration says of the keys of a side, in the order of `claims`; nil without a declaration.
  ///
  /// Axes are declared for the right side; the left side's follow from the transform. Throws when the config lacks a
  /// value that an axis needs.
  func expectedShapes(on side: Side, _ context: RuleContext) throws(RuleFailure) -> [ExpectedShape]? {
    guard let shape else { return nil }
    var lists: [[Int]] = []
    for axes in shape.axes {
      var list: [Int] = []
      for axis in axes { list.append(try context.length(axis)) }
      lists.append(list)
    }
    func right(_ index: Int) -> [Int] { lists[min(index, lists.count - 1)] }
    guard side == .left else {
      return self.right.isEmpty
        ? [] : self.right.indices.map { ExpectedShape(whole: right($0), bias: Array(right($0).prefix(1))) }
    }
    let whole: [Int]
    var bias = Array(right(0).prefix(1))
    switch transform {
    case .transposeMatrix: whole = right(0).count == 2 ? right(0).reversed() : right(0)
    case .pack(let packing):
      var rows = 0
      for index in self.right.indices {
        let (sum, overflow) = rows.addingReportingOverflow(right(index).first ?? 0)
        if overflow { throw RuleFailure("the packed tensor has more rows than can be counted") }
        rows = sum
      }
      let packed = [rows] + right(0).dropFirst()
      whole = packing.transposed && packed.count == 2 ? packed.reversed() : packed
      bias = [rows]
    case .stack: whole = right(0).count == 3 ? [right(0)[0], right(0)[2]] : right(0)
    default: whole = right(0)
    }
    return left.map { _ in ExpectedShape(whole: whole, bias: bias) }
  }
}
