/// The container that a checkpoint is written into.
package enum OutputFormat: String, Sendable, Hashable, CaseIterable, Codable {
  /// The zip archive of `torch.save`, as Hugging Face names it.
  case bin
  case safetensors
  /// The zip archive of `torch.save`, as Model Zoo releases before 2.0 wrote it.
  case torch
  /// HDF5, as Model Zoo releases from 2.0 on write it.
  case hdf5

  /// The containers that a target's tools read; the first is what its own tool writes.
  package static func allowed(for target: Format) -> [OutputFormat] {
    switch target {
    case .hf: [.bin, .safetensors]
    case .cs(let release): release < Release(2, 0) ? [.torch, .hdf5] : [.hdf5, .torch]
    }
  }

  /// The extension of a file, without its dot.
  package var fileExtension: String {
    switch self {
    case .bin: "bin"
    case .safetensors: "safetensors"
    case .torch, .hdf5: "mdl"
    }
  }

  /// The name that transformers gives the weights of a model, without extension.
  var standardStem: String { self == .safetensors ? "model" : "pytorch_model" }
}
