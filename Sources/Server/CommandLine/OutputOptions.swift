import API
import ArgumentParser
package import Core

/// The flags that say what a checkpoint is written as, those of the vendor's tools among them.
struct OutputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The container of the checkpoint: bin or safetensors for hf; torch (an archive) or hdf5 for the Model Zoo. "
        + "Unless told otherwise what the release's own tool writes: bin; torch before cs-2.0; hdf5 from then on."))
  var outputFormat: OutputFormat?

  @Option(
    help: ArgumentHelp(
      "For hf: maximum bytes of tensors in one file, such as 5GB or 512MiB. The files go into a folder <stem>_to_hf with "
        + "their index and the config, which from_pretrained loads. 0 writes one file without a folder. Default: 10GB "
        + "from cs-2.0 and later, one file from older releases."))
  var maxShardSize: ByteCount?

  @Option(help: "The same as --max-shard-size. Ignored for the Model Zoo, with a warning.")
  var hfShardSize: ByteCount?

  @Flag(help: "The same as --max-shard-size 0.")
  var singleFile = false

  @Flag(
    help: ArgumentHelp(
      "For hf: write a model of several components, such as llava, as the one checkpoint that a class of transformers "
        + "loads. Default: a folder for each component."))
  var oneCheckpoint = false

  @Flag(help: "The same as --output-format safetensors. Ignored for the Model Zoo, with a warning.")
  var exportSafetensors = false

  @Flag(name: .customLong("export-h5-checkpoint"), help: "The same as --output-format hdf5; does nothing for hf.")
  var exportHDF5 = false

  @Option(
    help: ArgumentHelp(
      "The precision of the model's floating-point tensors: keep, float32, float16 or bfloat16. Rounds to nearest; "
        + "values that are too large become infinite, with a warning."))
  var dtype: Precision = .keep

  @Flag(help: "Open the written checkpoint again and compare every tensor with the plan before it is published.")
  var verify = false

  @Flag(help: "Write <stem>_to_<tgt-fmt>.report.json: digests of all files, and where every tensor came from.")
  var report = false

  func validate() throws {
    let named = [outputFormat, exportSafetensors ? .safetensors : nil, exportHDF5 ? .hdf5 : nil].compactMap { $0 }
    guard Set(named).count <= 1 else {
      throw ValidationError("--output-format, --export-safetensors and --export-h5-checkpoint exclude each other.")
    }
    guard maxShardSize == nil || hfShardSize == nil || maxShardSize == hfShardSize else {
      throw ValidationError("--max-shard-size and --hf-shard-size name two sizes.")
    }
    guard !singleFile || (maxShardSize ?? hfShardSize)?.bytes ?? 0 == 0 else {
      throw ValidationError("--single-file and a shard size exclude each other.")
    }
  }

  /// The options of a conversion. A vendor flag that means nothing for the target is passed over with a warning, as the
  /// vendor's tools do.
  func options(target: Format?) -> ConversionOptions {
    var options = ConversionOptions()
    options.outputFormat = outputFormat
    options.maxShardSize = singleFile ? 0 : maxShardSize?.bytes
    options.oneCheckpoint = oneCheckpoint
    options.dtype = dtype
    options.verify = verify
    options.report = report
    guard let target else { return options }
    if target == .hf {
      options.maxShardSize = options.maxShardSize ?? hfShardSize?.bytes
    } else if hfShardSize != nil {
      StandardError.write("WARNING: --hf-shard-size is ignored: \(target) checkpoints are one file\n")
    }
    let allowed = OutputFormat.allowed(for: target)
    let names = allowed.map(\.rawValue).joined(separator: " or ")
    for (isSet, flag, format) in [
      (exportSafetensors, "--export-safetensors", OutputFormat.safetensors),
      (exportHDF5, "--export-h5-checkpoint", .hdf5),
    ] where isSet {
      if allowed.contains(format) {
        options.outputFormat = format
      } else {
        StandardError.write("WARNING: \(flag) is ignored: \(target) checkpoints are \(names), not \(format)\n")
      }
    }
    return options
  }
}

extension OutputFormat: ExpressibleByArgument {}

extension Precision: ExpressibleByArgument {}
