extension Sequence<Int> {
  /// The sum of sizes, or `Int.max` when it is larger: what servers state of many files need not add up to anything.
  ///
  /// Precondition: none is negative. Complexity: O(n).
  package func saturatingSum() -> Int {
    var sum = 0
    for size in self {
      let (next, isTooMuch) = sum.addingReportingOverflow(size)
      if isTooMuch { return .max }
      sum = next
    }
    return sum
  }
}
