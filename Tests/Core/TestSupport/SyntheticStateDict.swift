import OrderedCollections

@testable import Core

/// A state dict made from nothing but rules: every key that they claim on a side, for several layers, with the shapes that
/// they declare, or else shapes that their transforms can take.
struct SyntheticStateDict {
  /// The keys that a conversion keeps, each with a tensor of its own; mirrors share one.
  private(set) var values: OrderedDictionary<String, StateDict.Value> = [:]
  /// Where the tensors would lie, for evaluating them.
  private(set) var shapes: [(key: String, shape: [Int])] = []

  var stateDict: StateDict { StateDict(values) }

  init(_ rules: [Rule], side: Side, context: RuleContext, width: Int) throws {
    for rule in rules {
      let declared = try rule.expectedShapes(on: side, context) ?? []
      func shape(_ key: String, at position: Int = 0, else other: [Int]) -> [Int] {
        guard !declared.isEmpty else { return other }
        let shape = declared[min(position, declared.count - 1)]
        return key.hasSuffix("bias") ? shape.bias : shape.whole
      }
      if case .repeated(let many, _, _)? = rule.transform {
        addRepeats(rule, side: side, everyLayer: side == many, shape("weight", else: Self.shape("weight", width)))
        continue
      }
      for instance in rule.instances(on: side) {
        switch rule.transform {
        case .rename, .transposeMatrix, .rotate, .roll, .offset:
          add(instance, one: shape(instance[0], else: Self.shape(instance[0], width)))
        case .pack(let packing):
          let isMatrix = !instance[0].hasSuffix("bias")
          if side == .right {
            for (position, key) in instance.enumerated() {
              add([key], one: shape(key, at: position, else: isMatrix ? [width, width] : [width]))
            }
          } else {
            let rows = width * rule.right.count
            let packed = !isMatrix ? [rows] : packing.transposed ? [width, rows] : [rows, width]
            add(instance, one: shape(instance[0], else: packed))
          }
        case .stack(let hole, _):
          for key in Self.stacked(instance[0], rule, hole, side) {
            let one = side == .left ? [width, width] : [width, SmallConfigs.experts, width]
            add([key], one: shape(key, else: one))
          }
        case .custom:
          for (position, key) in instance.enumerated() {
            // A slope for each of four heads, for which Hugging Face keeps an axis more.
            let one =
              key.hasSuffix("slopes")
              ? (side == .left ? [4, 1, 1] : [4, 1]) : isVector(key) ? [width] : [width, width]
            add([key], one: shape(key, at: position, else: one))
          }
        case .repeated, nil: break
        }
      }
    }
  }

  /// One tensor for each key without its layer, under as many keys as there are layers.
  private mutating func addRepeats(_ rule: Rule, side: Side, everyLayer: Bool, _ shape: [Int]) {
    let single = rule.instances(on: everyLayer ? side : side.other, numbers: [0])
    let copies = everyLayer ? rule.instances(on: side, numbers: [1, 12]) : []
    for (word, key) in (everyLayer ? single : rule.instances(on: side)).enumerated() {
      add(key + copies.enumerated().filter { $0.offset % single.count == word }.flatMap(\.element), one: shape)
    }
  }

  /// The keys that make up the tensor of an instance: one for each expert on the left.
  private static func stacked(_ key: String, _ rule: Rule, _ hole: String, _ side: Side) -> [String] {
    guard side == .left, var binding = rule.left[0].match(key.split(separator: ".")) else { return [key] }
    return (0..<SmallConfigs.experts).map { number in
      binding[hole] = String(number)
      return rule.left[0].fill(binding)
    }
  }

  private func isVector(_ key: String) -> Bool { key.hasSuffix("bias") }

  private static func shape(_ key: String, _ width: Int) -> [Int] {
    // A head that is made anew has the shape of the embedding, which is what the config says.
    let isEmbedding = ["wte", "embed_in", "embed_tokens", "word_embeddings"].contains { key.hasSuffix("\($0).weight") }
    return key.hasSuffix("bias") ? [width] : [width, isEmbedding ? width : width + 2]
  }

  /// One tensor under all of `keys`.
  private mutating func add(_ keys: [String], one shape: [Int]) {
    let tensor = SymbolicTensor(source: keys[0], dtype: .float32, shape: shape)
    shapes.append((keys[0], shape))
    for key in keys { values[key] = .tensor(tensor) }
  }
}

extension Rule {
  /// Example keys that the rule claims on a side: for each choice of layer and words, one key for each pattern.
  func instances(on side: Side, numbers: [Int] = [0, 1, 12]) -> [[String]] {
    let patterns = claims(side)
    guard !patterns.isEmpty else { return [] }
    let words = patterns.map(\.choiceCount).max() ?? 1
    var instances: OrderedSet<[String]> = []
    for number in numbers {
      for word in 0..<words { instances.append(patterns.map { $0.example(number: number, choice: word) }) }
    }
    return Array(instances)
  }
}
