import Inputs

extension FreeSpace {
  /// `require`, off the cooperative pool.
  func check(_ bytes: Int, for what: String) async throws {
    try await FileThreads.run { try require(bytes, for: what) }
  }
}
