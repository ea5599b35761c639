/// What is wrong with a request or an input, in order: the first faults, and how many more there are.
///
/// A submission of a megabyte, or a checkpoint with foreign keys, can have half a million of them. Memory is that of
/// `limit` findings.
package struct Findings: RandomAccessCollection, Sendable {
  /// How many of a request are kept.
  static let limitOfRequests = 100
  /// How many of a conversion are kept; with fewer, unmatched keys would be missed.
  package static let limitOfConversions = 1000

  private let limit: Int
  private var kept: [Finding] = []
  /// Findings beyond those that are kept.
  private(set) var omitted = 0

  package init(_ findings: some Sequence<Finding> = [], limit: Int = limitOfRequests) {
    self.limit = limit
    for finding in findings { append(finding) }
  }

  package var startIndex: Int { kept.startIndex }
  package var endIndex: Int { kept.endIndex }
  package subscript(position: Int) -> Finding { kept[position] }

  package mutating func append(_ finding: Finding) {
    if kept.count < limit {
      kept.append(finding)
    } else {
      omitted += 1
    }
  }

  /// Appends all of them, and counts what others left out.
  package static func += (left: inout Findings, right: Findings) {
    for finding in right { left.append(finding) }
    left.omitted += right.omitted
  }

  /// All messages as one text.
  package var summary: String { map(\.message).joined(separator: "; ") + (omitted > 0 ? "; and \(omitted) more" : "") }
}
