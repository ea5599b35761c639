import OrderedCollections

/// Everything a conversion will write, decided before any tensor byte is read. A value: it can be shown, tested, stored.
package struct Plan: Sendable {
  /// One tensor of the output.
  package struct Tensor: Sendable, Hashable {
    /// Its key, or for tensors outside the state dict its path.
    package let key: String
    /// Dtype, shape and where the elements come from.
    package let tensor: SymbolicTensor
  }

  /// A file that goes with the output config and follows from it.
  package struct Document: Sendable, Hashable {
    /// The component in whose folder it lies; empty for a model that is one checkpoint.
    package let component: String
    package let name: String
    package let content: ConfigObject
  }

  /// The way from source to target.
  package let route: Route
  /// The output's object tree; leaves are indexes into `tensors`. Nil when only the config is converted.
  package let tree: ObjectTree<Int>?
  /// The tensors, in the order of the tree.
  package let tensors: [Tensor]
  /// Where the sources of the expressions lie, by key.
  package let sources: [String: TensorDescriptor]
  /// The output config; for a model that is a folder for each component, the configs by component.
  package let config: ConfigObject
  /// Files that go with it.
  package let documents: [Document]
  /// Findings that do not stop the conversion, in the order in which they were made.
  package var warnings: [Diagnostic]
  /// Where the vendor's tool would have written something unusable or nothing, and what was done instead.
  var deviations: [Diagnostic] = []

  /// The components that the output has a folder for each of; empty for one checkpoint.
  package var folders: [String] { route.folders(in: route.target) }

  /// Bytes of tensor data in the output, each tensor counted; at most `Limits.outputBytes`. Complexity: O(tensors).
  package var byteCount: Int { tensors.lazy.map(\.tensor.byteCount).saturatingSum() }
}
