public import OrderedCollections

/// Everything a conversion will write, decided before any tensor byte is read. A value: it can be shown, tested, stored.
public struct Plan: Sendable {
  /// One tensor of the output.
  public struct Tensor: Sendable, Hashable {
    /// Its key, or for tensors outside the state dict its path.
    public let key: String
    /// Dtype, shape and where the elements come from.
    public let tensor: SymbolicTensor
  }

  /// A file that goes with the output config and follows from it.
  public struct Document: Sendable, Hashable {
    /// The component in whose folder it lies; empty for a model that is one checkpoint.
    public let component: String
    /// Its name.
    public let name: String
    /// Its content.
    public let content: ConfigObject
  }

  /// The way from source to target.
  public let route: Route
  /// The output's object tree; leaves are indexes into `tensors`. Nil when only the config is converted.
  public let tree: ObjectTree<Int>?
  /// The tensors, in the order of the tree.
  public let tensors: [Tensor]
  /// Where the sources of the expressions lie, by key.
  public let sources: [String: TensorDescriptor]
  /// The output config; for a model that is a folder for each component, the configs by component.
  public let config: ConfigObject
  /// Files that go with it.
  public let documents: [Document]
  /// Findings that do not stop the conversion, in the order in which they were made.
  public var warnings: [Diagnostic]
  /// Where the vendor's tool would have written something unusable or nothing, and what was done instead.
  public var deviations: [Diagnostic] = []

  /// The components that the output has a folder for each of; empty for one checkpoint.
  public var folders: [String] { route.folders(in: route.target) }

  /// Bytes of tensor data in the output, each tensor counted; at most `Limits.outputBytes`. Complexity: O(tensors).
  public var byteCount: Int { tensors.lazy.map(\.tensor.byteCount).saturatingSum() }
}
