import OrderedCollections

/// Direct preference optimisation: a policy model that is trained and a reference model that stays, the same decoder in
/// the beginning. Hugging Face has the policy model alone, as the decoder that it is.
///
/// Facts: Model Zoo Release 2.10.0 (`dpo.py` of the checkpoint converters and `models/nlp/dpo/model.py`).
extension Family {
  static let dpo = Family(
    "dpo",
    [
      Model(
        "dpo", csClass: DPO.csClass, caveat: DPO.caveat, offered: DPO.offered,
        choice: ModelChoice(
          key: "model_name", models: DPO.decoders.map { .init(name: $0.name, model: DPO.training(of: $0)) },
          nesting: DPO.nesting))
    ])
}

enum DPO {
  static let csClass = "DPOModel"
  static let caveat =
    "The config names the decoder that is trained: model_type in HF, model_name in CS. These are supported: "
    + "\(names.joined(separator: ", ")). The HF model is the policy model; the reference model is written as a copy of it "
    + "and left out on the way back."

  /// The decoders that can be trained.
  private static let names = [
    "bloom", "falcon", "gpt2", "gptj", "gpt-neox", "llama", "mistral", "santacoder", "starcoder",
  ]
  static let decoders = [Family.bloom, .falcon, .gpt2, .gptj, .gptNeoX, .llama, .santaCoder, .starCoder]
    .flatMap(\.models).filter { names.contains($0.name) }

  /// A decoder of release 2.1 by itself.
  private static let plain = Release(2, 1, .noDPO)
  private static let oldest = Release(2, 1, .dpo)
  private static let newest = Release(Release.current.major, Release.current.minor, .dpo)
  static let offered = OfferedUpgrades.between(plain...oldest)
  /// The release whose layout the decoder has, whatever release is asked for.
  private static let layout = Release(2, 9)
  private static let policy: KeyPattern = "policy_model.model"
  private static let reference: KeyPattern = "ref_model.model"
  /// From 2.4 on the decoder's keys may stand in a section of their own, which says `name` for its name.
  static let nesting = SectionNesting(key: "policy_model", nameKey: "model_name")

  /// The training of one decoder, in every release from 2.1 on.
  static func training(of decoder: Model) -> Model {
    let frame = ModelFrame(
      prefix: policy, layout: layout, tensors: twin, config: parameters + name(decoder.name), nesting: nesting)
    let revisions = decoder.ladder.from(oldest.plain).revisions.map { revision in
      revision.framed(
        under: [policy, reference], as: .dpo, document: revision.release == Release(2, 4) ? [policySection] : [])
    }
    return Model(
      "dpo", csClass: csClass, caveat: caveat,
      ladder: Ladder(oldest: plain, revisions: [start(decoder)] + revisions), offered: offered,
      bridges: [
        decoder.bridge(covering: plain.plain)?.framed(
          ModelFrame(layout: plain.plain, config: name(decoder.name), isOffered: false), covers: plain...plain),
        decoder.bridge(covering: layout)?.framed(frame, covers: oldest...newest),
      ].compactMap(\.self))
  }

  // MARK: Tensors

  @RulesBuilder private static var twin: [Rule] { Copied(.cs, "\(reference).{rest}", of: "\(policy).{rest}") }

  /// Every key of a decoder moves under the policy model.
  @RulesBuilder private static func moved(_ decoder: Model) -> [Rule] {
    let crossing = decoder.bridge(covering: plain.plain)?.crossing(at: plain.plain, zooName: decoder.zooName)
    let keys = OrderedSet(crossing?.tensors.flatMap { $0.claims(.cs) } ?? [])
    Scope("", policy) { for key in keys { Rename(key, key) } }
    twin
  }

  // MARK: Config

  /// How the training goes, which has no counterpart in a decoder by itself.
  @ConfigRulesBuilder private static var parameters: [ConfigRule] {
    Fill(.cs, "dpo", ["beta": 0.1, "reference_free": false])
    Ignore(.cs, "dpo")
  }

  @ConfigRulesBuilder private static func name(_ decoder: String) -> [ConfigRule] {
    Require(.cs, nesting.nameKey, .string(decoder))
    Fill(.cs, nesting.nameKey, .string(decoder))
  }

  /// From a decoder of release 2.1 to its training.
  private static func start(_ decoder: Model) -> Revision {
    Revision(oldest, coversAllKeys: true, bareSide: .newer, tensors: moved(decoder), config: start)
  }

  @ConfigRulesBuilder private static var start: [ConfigRule] {
    parameters
    // It names the class of the training; the decoder's class has no name in release 2.1.
    Ignore(.newer, "name")
    Check(.older) { (config) throws(ConfigFailure) in
      guard config["dpo"] == nil else {
        throw ConfigFailure(
          "dpo",
          "The params have a section 'dpo', as those of \(oldest) do: use --src-fmt \(oldest). If they are of a decoder by "
            + "itself, take the section out.")
      }
    }
    Check(.newer) { (config) throws(ConfigFailure) in
      guard config["dpo"] != nil else {
        throw ConfigFailure(
          "dpo", "The params lack the section 'dpo', so they are not of \(oldest). Add it, or use --src-fmt \(plain).")
      }
    }
  }

  /// Releases before 2.4 know the decoder's keys beside those of the training only; later ones know both.
  private static let policySection = DocumentRule.rewrite(
    "policy model",
    backward: { (document, _, _) in
      guard let path = ModelSection.path(in: document), case .object(let section)? = document[at: path] else { return }
      document[at: path] = .object(nesting.flattened(section))
    })
}
