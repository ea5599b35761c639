import OrderedCollections

/// What release 2.0 changed in params documents, and what every release leaves behind.
///
/// Facts: Model Zoo Release 2.10.0, `base_converter.py` of its checkpoint converters, and the sources of the releases
/// that read the files.
enum ModelZoo20 {
  /// The rules between 1.9 and 2.0. They apply to conversions that start at 1.9: a document of 1.8 or before keeps these
  /// keys up to 2.0, as the vendor's tool has it, and loses them on the way to 2.1.
  static let document: [DocumentRule] = retiredRunSettings.map { $0.starting(at: Release(1, 9)) }

  /// Settings that 2.0 does not read any more.
  static let retiredRunSettings: [DocumentRule] =
    [.drop(.older, "csconfig")]
    + [
      "experimental_api", "multireplica", "num_replicas", "save_losses", "service_dir", "use_appliance_data",
    ].map { .drop(.older, ["runconfig", $0]) }
    + ["num_act_servers", "num_wgt_servers"].map { key in
      .drop(
        .older, ["runconfig", key],
        "runconfig.\(key) is left out: release 2.0 and later choose this number themselves.")
    }
    + [
      .moveUp("runconfig.is_pretrained_checkpoint", to: "runconfig.load_checkpoint_states", replaces: true) {
        (value) throws(ConfigFailure) in value.isTruthyInPython ? ["model", "dataloader"] : nil
      },
      .moveUp("runconfig.keep_checkpoint_max", to: "runconfig.max_checkpoints") { (value) throws(ConfigFailure) in
        value == .null ? nil : value
      },
    ]

  /// A section for the state of data loaders of release 1.9. It names files, which are never read because a document
  /// says so; no release after 1.9 looks at it.
  static let dataLoaderFiles: [DocumentRule] = [
    .rewrite("cerebras", forward: leaveOutDataLoaderFiles, backward: leaveOutDataLoaderFiles)
  ]

  private static let leaveOutDataLoaderFiles: DocumentRule.Rewriting = { (document, _, notices) in
    let files: DocumentPath = "cerebras.save_iter_state_path"
    if let path = document[at: files], path.isTruthyInPython {
      notices.append(
        DocumentNotice(
          files.description,
          "cerebras.save_iter_state_path is left out: it names files of data loader state (\(path.pythonDescription)), and "
            + "a params file cannot make the conversion read other files."))
    }
    document["cerebras"] = nil
  }
}
