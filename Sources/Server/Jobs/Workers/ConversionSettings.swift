/// What the operator decides about every conversion.
package struct ConversionSettings: Sendable {
  package var memoryBudget: Int
  package var threads: Int

  package init(memoryBudget: Int, threads: Int) {
    self.memoryBudget = memoryBudget
    self.threads = threads
  }
}
