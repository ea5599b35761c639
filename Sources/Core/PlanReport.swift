import OrderedCollections

/// What a conversion would do, for people and programs: made from headers alone, whether it can be done or not.
package struct PlanReport: Sendable {
  /// One tensor of the output.
  package struct Tensor: Sendable, Hashable {
    package let key: String
    /// Element type.
    package let dtype: DType
    /// Length of each axis.
    package let shape: [Int]
    /// Keys of the source tensors it is made from.
    package let sources: [String]
    /// What is done to them, in a few words.
    package let transform: String
  }

  /// An input file.
  package struct Input: Sendable, Hashable {
    package let name: String
    /// Bytes.
    package let size: Int
    /// Bytes of it that are not here yet.
    package let missing: Int

    /// True when a conversion has to get it, or a part of it, from elsewhere.
    package var isRemote: Bool { missing > 0 }
  }

  /// What the conversion would cost.
  package struct Totals: Sendable, Hashable {
    /// Tensors that are read.
    package var tensorsIn = 0
    /// Tensors that are written.
    package var tensorsOut = 0
    /// Elements of tensors that are read: the parameters of the model and its buffers.
    package var parameters = 0
    /// Bytes of tensors that are read.
    package var bytesIn = 0
    /// Bytes of tensors that are written.
    package var bytesOut = 0
    /// Bytes of files that are not here yet: what a job that started now would download.
    package var bytesToDownload = 0
    /// Bytes of memory, estimated: buffers within the budget, a kilobyte for each name, and the program itself.
    package var peakMemory = 0
    /// Bytes of disk: what is written, and what is downloaded or, when the conversion streams, spooled.
    package var diskNeeded = 0
  }

  /// The container of the checkpoint, if there is one.
  package private(set) var container: ContainerKind?
  /// The model; what the request said while it is not known.
  package private(set) var model: String
  /// The source format; what the request said while it is not known.
  package private(set) var sourceFormat: String
  package let targetFormat: String
  /// The formats that the conversion passes through.
  package private(set) var hops: [String] = []
  /// Why it cannot be done; nil when it can.
  package let error: ConversionError?
  /// Everything that was found, what stops the conversion and what does not.
  package let diagnostics: [Diagnostic]
  /// The config of the source as it was read; nil when the conversion cannot be done. Of a composed model, the configs by
  /// component.
  private(set) var sourceConfig: ConfigObject?
  /// The output config; nil when it cannot be made.
  package private(set) var config: ConfigObject?
  /// The tensors of the output in their order.
  package private(set) var tensors: [Tensor] = []
  /// The input files.
  package private(set) var inputs: [Input] = []
  /// What it would cost.
  package var totals = Totals()

  /// Keys of the source that match no rule: left out with `drop_unmatched_keys`, fatal without.
  var unmatchedKeys: [String] {
    diagnostics.compactMap { finding in
      guard finding.kind == .keysUnmatched, case .tensor(let key) = finding.subject else { return nil }
      return key
    }
  }

  /// Kinds of errors that are no answer about the input: whoever asked has to try again or look elsewhere.
  private static let faults: Set<ErrorKind> = [
    .fetchFailed, .sourceGated, .sourceNotFound, .tokenRefused, .revisionNotFound, .fileNotFound, .cancelled, .diskFull,
    .outputFailed, .internal,
  ]

  /// Plans a request. Blocks; reads headers only.
  ///
  /// An input that cannot be converted is an answer, not an error. Throws when the inputs could not be had: `.fetchFailed`
  /// and its like, `.cancelled` soon after `isCancelled` becomes true, `.internal`.
  package init(
    _ request: ConversionRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
  ) throws(ConversionError) {
    model = request.model
    sourceFormat = request.sourceFormat
    targetFormat = request.targetFormat
    let planned: Conversion.Planned
    do throws(ConversionError) {
      planned = try Interruption.heeding(isCancelled) { () throws(ConversionError) in
        try Conversion.plan(request)
      }
    } catch {
      guard !Self.faults.contains(error.kind) else { throw error }
      self.error = error
      let own = Diagnostic(.error, error.kind, .conversion, error.message)
      diagnostics = error.diagnostics.contains { $0.severity == .error } ? error.diagnostics : error.diagnostics + [own]
      return
    }
    let (plan, input) = (planned.plan, planned.checkpoint)
    error = nil
    diagnostics = plan.warnings
    sourceConfig = planned.config
    container = input?.source.kind
    model = plan.route.model.name
    sourceFormat = plan.route.source.description
    hops = plan.route.stations.map(\.description)
    config = plan.config
    tensors = plan.tensors.map { planned in
      Tensor(
        key: planned.key, dtype: planned.tensor.dtype, shape: planned.tensor.shape,
        sources: planned.tensor.expression.sourceKeys, transform: planned.tensor.expression.summary)
    }
    for (name, path) in zip(input?.names ?? [], input?.files ?? []) + planned.inputs.namedConfigs {
      let file = try request.files.open(path)
      inputs.append(Input(name: name, size: file.size, missing: file.missing))
    }
    let used = Set(tensors.flatMap(\.sources))
    totals.tensorsIn = used.count
    totals.tensorsOut = tensors.count
    totals.parameters = used.lazy.map { plan.sources[$0]?.elementCount ?? 0 }.saturatingSum()
    totals.bytesIn = used.lazy.map { plan.sources[$0]?.byteCount ?? 0 }.saturatingSum()
    totals.bytesOut = plan.byteCount
    totals.bytesToDownload = inputs.lazy.map(\.missing).saturatingSum()
    totals.peakMemory = planned.peakMemory
    let isStreamed = request.options.stream && inputs.contains { $0.isRemote }
    totals.diskNeeded = [totals.bytesOut, isStreamed ? planned.scratchBytes : totals.bytesToDownload].saturatingSum()
  }

  /// The report as JSON.
  package var document: ConfigObject {
    [
      "convertible": .bool(error == nil),
      "error": error.map { .object(["code": .string($0.kind.rawValue), "message": .string($0.message)]) } ?? .null,
      "model": .string(model),
      "src_fmt": .string(sourceFormat),
      "tgt_fmt": .string(targetFormat),
      "container": container.map { .string($0.rawValue) } ?? .null,
      "hops": .array(hops.map { .string($0) }),
      "inputs": .array(
        inputs.map { ["name": .string($0.name), "size": .int($0.size), "remote": .bool($0.isRemote)] }),
      "totals": [
        "tensors_in": .int(totals.tensorsIn), "tensors_out": .int(totals.tensorsOut),
        "parameters": .int(totals.parameters), "bytes_in": .int(totals.bytesIn),
        "bytes_out": .int(totals.bytesOut), "bytes_to_download": .int(totals.bytesToDownload),
        "peak_memory": .int(totals.peakMemory), "disk_needed": .int(totals.diskNeeded),
      ],
      "diagnostics": .array(diagnostics.map(Self.describe)),
      "unmatched_keys": .array(unmatchedKeys.map { .string($0) }),
      "source_config": sourceConfig.map { .object($0) } ?? .null,
      "config": config.map { .object($0) } ?? .null,
      "tensors": .array(
        tensors.map { tensor in
          [
            "key": .string(tensor.key), "dtype": .string(tensor.dtype.rawValue),
            "shape": .array(tensor.shape.map { .int($0) }),
            "sources": .array(tensor.sources.map { .string($0) }), "transform": .string(tensor.transform),
          ]
        }),
    ]
  }

  private static func describe(_ finding: Diagnostic) -> ConfigValue {
    [
      "severity": .string(finding.severity.rawValue), "code": .string(finding.kind.rawValue),
      "subject": .string(finding.subject.description), "message": .string(finding.message),
      "rule": finding.origin.map { .string($0.description) } ?? .null,
    ]
  }
}
