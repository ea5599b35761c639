public import OrderedCollections

/// The parameters and buffers of a model by name, in order: one name space, whatever files they came from.
///
/// Values are symbolic: a state dict costs memory by the number of its keys, never by their bytes.
public struct StateDict: Sendable {
  /// What stands under a key.
  public enum Value: Sendable, Hashable {
    /// A tensor.
    case tensor(SymbolicTensor)
    /// Something else that `state_dict()` may hold, mostly None for a tied tensor.
    case other(ObjectTree<SymbolicTensor>)

    /// The tensor, when it is one.
    public var tensor: SymbolicTensor? { if case .tensor(let tensor) = self { tensor } else { nil } }
  }

  /// The values by key.
  public var values: OrderedDictionary<String, Value>

  /// A state dict.
  public init(_ values: OrderedDictionary<String, Value> = [:]) { self.values = values }
}
