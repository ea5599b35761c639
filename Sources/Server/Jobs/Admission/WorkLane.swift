/// Which jobs a worker takes, and the memory that it shares with its like.
package struct WorkLane: Sendable {
  /// Bytes of inputs of the largest job that is taken; nil takes every job.
  package let largestInput: Int?
  package let gate: MemoryGate

  /// The lanes of all workers: with two or more, the first takes small jobs only, so that these never wait behind
  /// large ones. Its memory is set aside, so that it does not wait for that either.
  package static func lanes(workers: Int, smallJob: Int, totalMemory: Int?, budget: Int) -> [WorkLane] {
    let hasSmallLane = workers > 1 && smallJob > 0
    let aside = hasSmallLane ? JobMemory.need(inputBytes: smallJob, budget: budget) : 0
    let general = workers - (hasSmallLane ? 1 : 0)
    let rest = WorkLane(
      largestInput: nil, gate: MemoryGate(bytes: totalMemory.map { $0 - aside } ?? general * budget))
    let small = WorkLane(largestInput: smallJob, gate: MemoryGate(bytes: aside))
    return (hasSmallLane ? [small] : []) + Array(repeating: rest, count: general)
  }

  /// The smallest sum with which every job can run some time.
  package static func leastMemory(workers: Int, smallJob: Int, budget: Int) -> Int {
    budget + (workers > 1 && smallJob > 0 ? JobMemory.need(inputBytes: smallJob, budget: budget) : 0)
  }

  /// Bytes to hold before a job is chosen, so that any that fits the lane can be run.
  func reservation(budget: Int) -> Int { JobMemory.need(inputBytes: largestInput, budget: budget) }
}

/// How much memory a conversion is given.
enum JobMemory {
  /// Less than this makes tiles so small that calls cost more than bytes.
  private static let least = 16 << 20

  /// Bytes for the buffers of a job: twice its inputs, which is as much as they can fill, within the budget of one
  /// conversion. The whole budget when the inputs are not known yet.
  static func need(inputBytes: Int?, budget: Int) -> Int {
    guard let inputBytes, inputBytes < budget else { return budget }
    return min(budget, max(least, 2 * inputBytes))
  }
}
