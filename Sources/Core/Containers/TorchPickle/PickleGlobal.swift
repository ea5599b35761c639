/// The Python names that a checkpoint may mention, by what the machine makes of them.
///
/// The list is closed: a name that is not in it is refused, whatever is done with it. It follows the allow-list of
/// `torch.load(weights_only=True)` and adds the numpy constructors and types that checkpoints of older releases hold.
enum PickleGlobal: Equatable {
  /// `collections.OrderedDict`.
  case orderedDict
  /// `collections.defaultdict`; its factory is dropped.
  case defaultDict
  /// `collections.Counter` or `dict`: made from another dictionary.
  case dictionary
  /// `set` or `frozenset`.
  case set
  case complex
  /// `bytearray` or `bytes`.
  case bytes
  /// A type that is named but never called, such as the factory of a `defaultdict`.
  case inert
  /// `_codecs.encode`, which carries bytes in protocol 2.
  case encode
  /// `torch._utils._rebuild_tensor`, `_v2` or `_v3`.
  case rebuildTensor(version: Int)
  /// `torch._utils._rebuild_parameter`, with or without state.
  case rebuildParameter
  /// `torch._tensor._rebuild_from_type_v2`, around one of the others.
  case rebuildFromType
  /// `torch._utils._rebuild_device_tensor_from_numpy` and its like: a tensor of another device, kept as one of the CPU.
  case rebuildDeviceTensor
  /// A class that no converter knows, by module and name; its instances are plain values.
  case plainClass(String)
  /// A torch storage class; nil is `UntypedStorage`, which counts bytes.
  case storage(DType?)
  /// A `torch.dtype`, without the `torch.`.
  case dtype(String)
  /// `torch.Size`.
  case size
  /// `torch.device`.
  case device
  /// `numpy.dtype`.
  case numpyDType
  /// `numpy.ndarray`.
  case numpyArray
  /// `numpy.core.multiarray._reconstruct`.
  case numpyReconstruct
  /// `numpy.core.multiarray.scalar`.
  case numpyScalar
  /// `numpy.core.numeric._frombuffer`.
  case numpyFromBuffer

  /// The global of a module and a name; nil when it is not allowed.
  init?(module: String, name: String) {
    switch module {
    case "torch":
      guard let global = Self.torch(name) else { return nil }
      self = global
    case "torch.storage":
      guard name == "UntypedStorage" else { return nil }
      self = .storage(nil)
    case "numpy.core.multiarray", "numpy._core.multiarray":
      switch name {
      case "_reconstruct": self = .numpyReconstruct
      case "scalar": self = .numpyScalar
      default: return nil
      }
    case "builtins", "__builtin__":
      guard let global = Self.builtin(name) else { return nil }
      self = global
    default:
      guard let global = Self.others["\(module) \(name)"] else { return nil }
      self = global
    }
  }

  private static let others: [String: PickleGlobal] = [
    "collections OrderedDict": .orderedDict,
    "collections defaultdict": .defaultDict,
    "collections Counter": .dictionary,
    "_codecs encode": .encode,
    "torch._utils _rebuild_tensor": .rebuildTensor(version: 1),
    "torch._utils _rebuild_tensor_v2": .rebuildTensor(version: 2),
    "torch._utils _rebuild_tensor_v3": .rebuildTensor(version: 3),
    "torch._utils _rebuild_parameter": .rebuildParameter,
    "torch._utils _rebuild_parameter_with_state": .rebuildParameter,
    "torch._tensor _rebuild_from_type_v2": .rebuildFromType,
    "torch._utils _rebuild_device_tensor_from_numpy": .rebuildDeviceTensor,
    "torch._utils _rebuild_device_tensor_from_cpu_tensor": .rebuildDeviceTensor,
    "torch._utils _rebuild_xla_tensor": .rebuildDeviceTensor,
    "torch.nn.parameter Parameter": .inert,
    "torch.nn.parameter Buffer": .inert,
    "numpy dtype": .numpyDType,
    "numpy ndarray": .numpyArray,
    "numpy.core.numeric _frombuffer": .numpyFromBuffer,
    "numpy._core.numeric _frombuffer": .numpyFromBuffer,
  ]

  private static func builtin(_ name: String) -> PickleGlobal? {
    switch name {
    case "set", "frozenset": .set
    case "dict": .dictionary
    case "complex": .complex
    case "bytearray", "bytes": .bytes
    case "int", "long", "float", "bool", "str", "unicode", "list", "tuple", "object": .inert
    default: nil
    }
  }

  private static func torch(_ name: String) -> PickleGlobal? {
    switch name {
    case "Size": return .size
    case "device": return .device
    case "Tensor": return .inert
    default: break
    }
    if let dtype = storageTypes[name] { return .storage(dtype) }
    return dtypes.contains(name) ? .dtype(name) : nil
  }

  /// The typed storage classes of torch, which exist for these element types and no others.
  static let storageTypes: [String: DType] = [
    "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16, "BFloat16Storage": .bfloat16,
    "LongStorage": .int64, "IntStorage": .int32, "ShortStorage": .int16, "CharStorage": .int8, "ByteStorage": .uint8,
    "BoolStorage": .bool, "ComplexFloatStorage": .complex64, "ComplexDoubleStorage": .complex128,
  ]

  /// Every `torch.dtype` with a name of its own, also those that tensors of model weights never have.
  private static let dtypes: Set<String> = Set(DType.allCases.map(\.rawValue)).union([
    "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "quint8", "qint8", "qint32",
    "quint4x2", "quint2x4", "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16",
  ])
}
