extension Conversion {
  /// The files that a checkpoint is made of, an index first: what has to be sent somewhere for it to be converted there.
  ///
  /// `paths` is what `convert` takes: a file, a shard index, a folder, or several files. Reads headers, so that a file
  /// which is no checkpoint, or a shard that is missing, is found before anything is sent. Throws as `run` does.
  public static func files(ofCheckpoint paths: [String]) throws(ConversionError) -> [String] {
    try CheckpointInput(paths: paths).files
  }
}
