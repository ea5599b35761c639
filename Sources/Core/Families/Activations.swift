/// The activation functions of feed-forward layers, by the names that both sides have for them.
///
/// A name that one side does not know fails only when the model is built, and a name can mean two functions; so names are
/// mapped by what they compute, and others are refused.
///
/// Facts: `layers/activations.py` of the Model Zoo (`activations.py` of its releases up to 2.1) and `activations.py` of
/// transformers 4.57.
enum Activations {
  /// Names of the Model Zoo, by the name in transformers; the first of a name is written back.
  private static let pairs: [(hf: String, cs: String)] = [
    ("relu", "relu"), ("leaky_relu", "leaky_relu"), ("silu", "silu"), ("swish", "swish"), ("gelu", "gelu"),
    ("tanh", "tanh"), ("gelu_new", "gelu_new"), ("gelu_fast", "gelu_fast"), ("quick_gelu", "quick_gelu"),
    ("mish", "mish"), ("linear", "linear"), ("sigmoid", "sigmoid"), ("relu6", "relu6"), ("relu2", "squared_relu"),
    // Other names of the same functions: the exact GELU, and its form with tanh.
    ("gelu_python", "gelu"), ("gelu_pytorch_tanh", "gelu_new"), ("gelu_python_tanh", "gelu_new"),
    ("gelu_accurate", "gelu_new"),
  ]

  /// The pairs of which a release knows the function.
  static func pairs(at release: Release) -> [(hf: String, cs: String)] {
    pairs.filter { $0.cs != "squared_relu" || release >= Release(2, 3) }
  }

  /// The Model Zoo's name of a function of transformers. Throws for one that the release does not have.
  static func modelZoo(_ value: ConfigValue, key: String, at release: Release) throws(ConfigFailure) -> ConfigValue {
    let known = pairs(at: release)
    guard case .string(let name) = value, let pair = known.first(where: { $0.hf == name }) else {
      throw .unsupported(key, value, supported: known.map { .string($0.hf) })
    }
    return .string(pair.cs)
  }

  /// The name in transformers of a function of the Model Zoo, which ignores case and takes null for the identity.
  ///
  /// Throws for one that transformers does not have.
  static func huggingFace(_ value: ConfigValue, key: String, at release: Release) throws(ConfigFailure) -> ConfigValue {
    if value == .null { return "linear" }
    let known = pairs(at: release)
    guard case .string(let name) = value, let pair = known.first(where: { $0.cs == name.lowercased() }) else {
      let names = known.reduce(into: [String]()) { names, pair in if !names.contains(pair.cs) { names.append(pair.cs) }
      }
      throw .unsupported(key, value, supported: names.map(ConfigValue.string))
    }
    return .string(pair.hf)
  }
}

extension Key {
  /// The name of an activation function that is not gated, as both sides call it at a release.
  init(
    activation left: String, _ right: String = "nonlinearity", at release: Release, file: String = #fileID,
    line: Int = #line
  ) {
    self.init(
      left, right,
      forward: { (value, _) throws(ConfigFailure) in try Activations.modelZoo(value, key: left, at: release) },
      backward: { (value, _) throws(ConfigFailure) in try Activations.huggingFace(value, key: right, at: release) },
      file: file, line: line)
  }
}
