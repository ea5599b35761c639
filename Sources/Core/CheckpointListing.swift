extension Conversion {
  /// The files that a checkpoint is made of, an index first: what has to be sent somewhere for it to be converted there.
  ///
  /// `paths` is what `convert` takes: a file, a shard index, a folder, or several files. Reads headers, so that a file
  /// which is no checkpoint, or a shard that is missing, is found before anything is sent. Throws as `run` does.
  package static func files(ofCheckpoint paths: [String]) throws(ConversionError) -> [String] {
    try CheckpointInput(paths: paths).files
  }

  /// The files of each component, where a request names folders of components; empty for a model that is one checkpoint.
  ///
  /// Reads headers, as `files(ofCheckpoint:)` does. Throws as `run` does.
  package static func components(of request: ConversionRequest) throws(ConversionError) -> [ComponentInput] {
    let inputs = try RequestInputs(request)
    var components: [ComponentInput] = []
    func index(of name: String) -> Int {
      if let index = components.firstIndex(where: { $0.name == name }) { return index }
      components.append(ComponentInput(name))
      return components.count - 1
    }
    for (name, path) in inputs.configs where !name.isEmpty { components[index(of: name)].config = path }
    for (name, paths) in inputs.checkpoints where !name.isEmpty {
      components[index(of: name)].checkpoint = try files(ofCheckpoint: paths)
    }
    return components
  }
}
