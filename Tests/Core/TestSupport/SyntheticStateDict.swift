import OrderedCollections

@testable import Core

/// A state dict made from nothing but rules: every key that they claim on a side, for several layers, with shapes that
/// their transforms can take.
struct SyntheticStateDict {
  /// The keys that a conversion keeps, each with a tensor of its own; mirrors share one.
  private(set) var values: OrderedDictionary<String, StateDict.Value> = [:]
  /// Where the tensors would lie, for evaluating them.
  private(set) var shapes: [(key: String, shape: [Int])] = []

  var stateDict: StateDict { StateDict(values) }

  init(_ rules: [Rule], side: Side, width: Int) {
    for rule in rules {
      for instance in rule.instances(on: side) {
        switch rule.transform {
        case .rename, .transposeMatrix, .repeated: add(instance, one: Self.shape(instance[0], width))
        case .pack(let packing):
          let isMatrix = !instance[0].hasSuffix("bias")
          if side == .right {
            for key in instance { add([key], one: isMatrix ? [width, width] : [width]) }
          } else {
            let rows = width * rule.right.count
            add(instance, one: !isMatrix ? [rows] : packing.transposed ? [width, rows] : [rows, width])
          }
        case .custom: for key in instance { add([key], one: isVector(key) ? [width] : [width, width]) }
        case .leaveOut, .refuse, .generate, .draw, .alias, .need, .tie: break
        }
      }
    }
  }

  private func isVector(_ key: String) -> Bool { key.hasSuffix("bias") }

  private static func shape(_ key: String, _ width: Int) -> [Int] {
    key.hasSuffix("bias") ? [width] : [width, width + 2]
  }

  /// One tensor under all of `keys`.
  private mutating func add(_ keys: [String], one shape: [Int]) {
    let tensor = SymbolicTensor(source: keys[0], dtype: .float32, shape: shape)
    shapes.append((keys[0], shape))
    for key in keys where values[key] == nil { values[key] = .tensor(tensor) }
  }
}

extension Rule {
  /// Example keys that the rule claims on a side: for each choice of layer and words, one key for each pattern. What
  /// stands in every layer alike is one instance with a key for each layer.
  func instances(on side: Side, numbers: [Int] = [0, 1, 12]) -> [[String]] {
    let patterns = claims(side)
    guard !patterns.isEmpty else { return [] }
    var repeatsHole: String?
    if case .repeated(side, let hole, _) = transform { repeatsHole = hole }
    var bindings: [KeyPattern.Binding] = [[:]]
    for hole in OrderedSet(patterns.flatMap(\.holeWords)) where hole.name != repeatsHole {
      let texts = hole.words ?? numbers.map { "\($0)" }
      bindings = bindings.flatMap { binding in
        texts.map { binding.merging([hole.name: $0[...]]) { _, new in new } }
      }
    }
    return bindings.map { binding in
      guard let repeatsHole else { return patterns.map { $0.fill(binding) } }
      return numbers.map { number in
        patterns[0].fill(binding.merging([repeatsHole: "\(number)"]) { _, new in new })
      }
    }
  }
}

/// A hole and the words that it may take; nil for a number.
private struct HoleWords: Hashable {
  let name: String
  let words: [String]?
}

extension KeyPattern {
  fileprivate var holeWords: [HoleWords] {
    segments.compactMap { segment in
      switch segment {
      case .literal: nil
      case .hole(let hole): HoleWords(name: hole.name, words: hole.words)
      case .rest: HoleWords(name: "rest", words: ["rest.weight"])
      }
    }
  }
}
