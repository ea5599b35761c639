extension OutputFormat {
  /// What writes it.
  var sink: any TensorSink.Type {
    switch self {
    case .bin, .torch: TorchZipWriter.self
    case .safetensors: SafetensorsWriter.self
    case .hdf5: HDF5Writer.self
    }
  }
}
