import OrderedCollections
import Synchronization

/// The rules between Hugging Face (left) and a range of releases (right).
struct Bridge: Sendable {
  /// The releases on the right.
  private(set) var covers: ClosedRange<Release>
  /// The class that holds the state dict in transformers; for a composed model those of its parts.
  let hfClass: String
  /// The `model_type`s of the Hugging Face config; the first is the one that is written. A model that is a folder for each
  /// component has none as a whole.
  let modelTypes: [String]
  /// The parts of a composed model.
  let components: [Component]
  /// Files that go with the Hugging Face checkpoint and follow from its config.
  let documents: [DerivedDocument]
  /// What muP training and sparsity left in a Model Zoo checkpoint and Hugging Face has no words for.
  private let folds: [Fold]
  private let muP: @Sendable (Release) -> MuPSupport
  /// The same for components, by name, with the keys of the whole model; others are as `muP` says.
  private let componentMuP: [String: Fold]
  /// What params files of the Model Zoo keep outside the model's section.
  private let outside: [OutsideKey]
  /// What only the tensors tell of a target's config.
  private let measurements: [Measurement]
  /// What rules see of a Hugging Face config, where some configs have what they mean in another place.
  private let reading: @Sendable (ConfigObject) -> ConfigObject
  private let tensors: @Sendable (Release) -> [Rule]
  private let config: @Sendable (Release) -> [ConfigRule]
  /// What the releases put around the model; nil for nothing.
  private var frame: ModelFrame?
  private var made = MadeCrossings()

  /// A bridge. The closures get the release that is converted from or to. Without `muP`, muP models are refused, and no
  /// component may be one that `componentMuP` does not name.
  init(
    covers: ClosedRange<Release>, hfClass: String, modelTypes: [String], components: [Component] = [],
    documents: [DerivedDocument] = [], folds: [Fold] = [],
    muP: @escaping @Sendable (Release) -> MuPSupport = { _ in .refused }, componentMuP: [String: Fold] = [:],
    outside: [OutsideKey] = [], measurements: [Measurement] = [],
    reading: @escaping @Sendable (ConfigObject) -> ConfigObject = { $0 },
    tensors: @escaping @Sendable (Release) -> [Rule], config: @escaping @Sendable (Release) -> [ConfigRule]
  ) {
    self.covers = covers
    self.hfClass = hfClass
    self.modelTypes = modelTypes
    self.components = components
    self.documents = documents
    self.folds = folds
    self.muP = muP
    self.componentMuP = componentMuP
    self.outside = outside
    self.measurements = measurements
    self.reading = reading
    self.tensors = tensors
    self.config = config
  }

  /// A bridge of a model that is a folder for each component in Hugging Face.
  init(
    covers: ClosedRange<Release>, folders components: [Component], documents: [DerivedDocument] = [],
    folds: [Fold] = [], muP: [String: Fold] = [:],
    reading: @escaping @Sendable (ConfigObject) -> ConfigObject = { $0 },
    tensors: @escaping @Sendable (Release) -> [Rule], config: @escaping @Sendable (Release) -> [ConfigRule]
  ) {
    self.init(
      covers: covers, hfClass: components.map(\.hfClass).joined(separator: " + "), modelTypes: [],
      components: components, documents: documents, folds: folds, componentMuP: muP, reading: reading,
      tensors: tensors, config: config)
  }

  /// The components that are a folder each; empty for one checkpoint.
  var folders: [Component] { modelTypes.isEmpty ? components : [] }

  /// True when the vendor's tool converts between Hugging Face and these releases.
  var isOffered: Bool { frame?.isOffered ?? true }

  /// What is folded into the weights of a checkpoint of a release on the way to Hugging Face, in this order.
  func folds(at release: Release) -> [Fold] {
    let own = [muP(frame?.layout ?? release).fold].compactMap(\.self)
    let parts = components.flatMap { part in
      componentMuP[part.name].map { [$0] } ?? own.map { $0.inside(part.section) }
    }
    let all = own + parts + folds
    return frame.map { frame in all.map { $0.under(frame.prefix) } } ?? all
  }

  /// The same bridge to releases that put something around the model.
  func framed(_ frame: ModelFrame, covers: ClosedRange<Release>) -> Bridge {
    var bridge = self
    bridge.frame = frame
    bridge.covers = covers
    bridge.made = MadeCrossings()
    return bridge
  }

  /// The rules for one release. `zooName` is what the release's params file calls the model.
  ///
  /// Rules that every model of Hugging Face shares exist for the keys that the model's own rules do not mention. They are
  /// made once, as detection asks for those of many models.
  func crossing(at release: Release, zooName: String) -> Crossing {
    made.crossing(at: release, zooName: zooName) { makeCrossing(at: release, zooName: zooName) }
  }

  private func makeCrossing(at release: Release, zooName: String) -> Crossing {
    let layout = frame?.layout ?? release
    let own =
      config(layout) + Crossing.releaseConfig(layout, zooName: zooName, modelTypes: modelTypes) + (frame?.config ?? [])
    let known = Side.allCases.map { side in (side, Set(own.flatMap { $0.claimedKeys(on: side) })) }
    let everywhere = ConfigRule.ofEveryModel + muP(layout).neutralKeys
    let inside = everywhere + Crossing.precision(layout)
    let parts = components.flatMap { part in
      (Crossing.type(part.modelTypes) + inside).map { $0.under(left: part.name, right: part.section) }
    }
    let shared = (everywhere + parts).filter { rule in
      known.allSatisfy { side, keys in keys.isDisjoint(with: rule.claimedKeys(on: side)) }
    }
    var rules = tensors(layout)
    if let frame { rules = Scope("", frame.prefix) { rules }.rules + frame.tensors }
    return Crossing(
      release: release, header: header, folders: folders.map(\.name), hfClass: hfClass, documents: documents,
      tensors: rules, config: own + shared, outside: outside, measurements: frame == nil ? measurements : [],
      reading: reading, nesting: frame?.nesting)
  }
}

extension Bridge {
  /// What `AutoModel.from_pretrained` needs to find the class of a Hugging Face config.
  fileprivate var header: ConfigObject {
    func labels(_ hfClass: String, _ types: [String]) -> ConfigObject {
      ["architectures": .array([.string(hfClass)]), "model_type": .string(types.first ?? "")]
    }
    guard modelTypes.isEmpty else {
      var header = labels(hfClass, modelTypes)
      for part in components { header[part.name] = ["model_type": .string(part.modelTypes.first ?? "")] }
      return header
    }
    return ConfigObject(
      uniqueKeysWithValues: components.map { ($0.name, .object(labels($0.hfClass, $0.modelTypes))) })
  }
}

/// The crossings of a bridge that were asked for. Shared by the copies of a bridge; safe to use from several threads.
private final class MadeCrossings: Sendable {
  private struct Key: Hashable {
    let release: Release
    let zooName: String
  }

  private let crossings = Mutex<[Key: Crossing]>([:])

  func crossing(at release: Release, zooName: String, make: () -> Crossing) -> Crossing {
    let key = Key(release: release, zooName: zooName)
    if let made = crossings.withLock({ $0[key] }) { return made }
    let crossing = make()
    crossings.withLock { $0[key] = crossing }
    return crossing
  }
}
