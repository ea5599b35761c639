import OrderedCollections

/// The parameters and buffers of a model by name, in order: one name space, whatever files they came from.
///
/// Values are symbolic: a state dict costs memory by the number of its keys, never by their bytes.
struct StateDict: Sendable {
  /// What stands under a key.
  enum Value: Sendable, Hashable {
    case tensor(SymbolicTensor)
    /// Something else that `state_dict()` may hold, mostly None for a tied tensor.
    case other(ObjectTree<SymbolicTensor>)

    /// The tensor, when it is one.
    var tensor: SymbolicTensor? { if case .tensor(let tensor) = self { tensor } else { nil } }

    /// True for a tensor; quicker than asking for it, which counts its references.
    var isTensor: Bool { if case .tensor = self { true } else { false } }
  }

  /// The values by key.
  var values: OrderedDictionary<String, Value>

  init(_ values: OrderedDictionary<String, Value> = [:]) { self.values = values }
}
