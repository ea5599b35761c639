import OrderedCollections

extension ModelListing {
  /// Pairs that are said in one line.
  package struct Line: Sendable, Hashable {
    /// The pairs in words, such as `hf <-> cs-2.1 .. cs-2.9`. `A .. B` stands for both and every format between them.
    package let text: String
    /// True when the pairs are composed of other pairs and the vendor's tool does not offer them.
    package let composed: Bool
    /// The pairs, as places in `conversions`.
    package let pairs: [Int]
  }

  /// All formats, in the order in which pairs name them first. Complexity: O(pairs).
  package var formats: [Format] { Array(OrderedSet(conversions.map(\.source)).union(conversions.map(\.target))) }

  /// All pairs in a few lines: what the vendor's tool offers, then the others together. Complexity: O(pairs).
  package var lines: [Line] {
    var places: [[Format]: Int] = [:]
    for (place, pair) in conversions.enumerated() { places[[pair.source, pair.target]] = place }
    let formats = self.formats
    var left = Set(conversions.indices.filter { !conversions[$0].composed })
    func place(_ source: Int, _ target: Int) -> Int? { places[[formats[source], formats[target]]] }
    func isOffered(_ source: Int, _ target: Int) -> Bool { place(source, target).map(left.contains) ?? false }
    func isOfferedBothWays(_ one: Int, _ other: Int) -> Bool { isOffered(one, other) && isOffered(other, one) }
    func named(_ range: Range<Int>) -> String {
      range.count == 1
        ? "\(formats[range.lowerBound])" : "\(formats[range.lowerBound]) .. \(formats[range.upperBound - 1])"
    }
    /// From a format on, how many of the next ones `fits` holds for.
    func run(after first: Int, while fits: (Int) -> Bool) -> Range<Int> {
      first + 1..<((first + 1..<formats.count).first { !fits($0) } ?? formats.count)
    }
    var lines: [Line] = []
    func add(_ text: String, _ pairs: [(Int, Int)]) {
      let known = pairs.compactMap { place($0, $1) }
      left.subtract(known)
      lines.append(Line(text: text, composed: false, pairs: known))
    }
    func bothWays(_ pairs: [(Int, Int)]) -> [(Int, Int)] { pairs.flatMap { [($0, $1), ($1, $0)] } }
    for first in formats.indices {
      // Neighbours of which each converts to each.
      let all = run(after: first) { next in (first..<next).allSatisfy { isOfferedBothWays($0, next) } }
      if all.count > 1 {
        let range = first..<all.upperBound
        let pairs = range.flatMap { one in (one + 1..<all.upperBound).map { (one, $0) } }
        add("any two of \(named(range))", bothWays(pairs))
      }
      // Neighbours of which each converts to the next.
      let steps = run(after: first) { isOfferedBothWays($0 - 1, $0) }
      if steps.count > 1 {
        add("\(named(first..<steps.upperBound)), one step at a time", bothWays(steps.map { ($0 - 1, $0) }))
      }
      for (arrow, fits) in [
        ("<->", isOfferedBothWays), ("->", isOffered), ("<-", { isOffered($1, $0) }),
      ] as [(String, (Int, Int) -> Bool)] {
        var next = first + 1
        while next < formats.count {
          defer { next += 1 }
          guard fits(first, next) else { continue }
          let range = run(after: next - 1) { fits(first, $0) }
          let pairs = range.map { (first, $0) }
          add(
            "\(formats[first]) \(arrow) \(named(range))",
            arrow == "<->" ? bothWays(pairs) : arrow == "->" ? pairs : pairs.map { ($1, $0) })
        }
      }
    }
    let others = conversions.indices.filter { conversions[$0].composed }
    guard !others.isEmpty else { return lines }
    let releases = formats.firstIndex { $0.isCS } ?? 0
    let everything = formats[..<releases].map(\.description) + [named(releases..<formats.count)]
    return lines + [
      Line(text: "every other pair of \(everything.joined(separator: ", "))", composed: true, pairs: others)
    ]
  }
}
