internal import SystemPackage

/// What is known of `torch.distributed.checkpoint`: a folder of `.distcp` files and a `.metadata` that says what lies where.
enum DistributedCheckpoint {
  /// A predicate that says what a file or folder is, and how to make one file of it.
  static let wayOut =
    "is part of a torch.distributed.checkpoint folder, which is not read directly; make one file of the folder first: "
    + "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE"

  /// True for the files of such a folder.
  static func owns(path: String) -> Bool {
    let name = FilePath(path).lastComponent?.string ?? path
    return name == ".metadata" || name.hasSuffix(".distcp")
  }
}
