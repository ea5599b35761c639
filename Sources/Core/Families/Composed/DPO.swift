import OrderedCollections

/// Direct preference optimisation: a policy model that is trained and a reference model that stays, both of them the same
/// decoder in the beginning. Hugging Face has the policy alone, as the decoder that it is.
///
/// Facts: Model Zoo Release 2.10.0 (`dpo.py` of the checkpoint converters and `models/nlp/dpo/model.py`).
extension Family {
  static let dpo = Family(
    "dpo",
    [
      Model(
        "dpo", csClass: "DPOModel", caveat: DPO.caveat,
        offered: .between(DPO.plain...DPO.oldest),
        choice: ModelChoice(key: "model_name", models: DPO.inner.map { .init(name: $0.name, model: DPO.model(of: $0)) })
      )
    ])
}

enum DPO {
  static let plain = Release(2, 1, .noDPO)
  static let oldest = Release(2, 1, .dpo)
  private static let newest = Release(Release.current.major, Release.current.minor, .dpo)
  private static let policy: KeyPattern = "policy_model.model"
  private static let reference: KeyPattern = "ref_model.model"
  /// The release whose layout the vendor's tool writes, whatever release is asked for.
  private static let layout = Release(2, 9)

  static let caveat =
    "The config names the decoder that is trained: model_type in HF, model_name in CS. These are supported: "
    + inner.map(\.name).joined(separator: ", ")
    + ". The HF model is the policy model; the reference model is written as a copy of it and left out on the way back."

  /// The decoders that can be trained.
  static let inner: [Model] = [
    Family.bloom, .falcon, .gpt2, .gptj, .gptNeoX, .llama, .santaCoder, .starCoder,
  ].flatMap(\.models).filter { names.contains($0.name) }
  private static let names = [
    "bloom", "falcon", "gpt2", "gptj", "gpt-neox", "llama", "mistral", "santacoder", "starcoder",
  ]

  /// Policy and reference of one decoder, in every release from 2.1 on.
  static func model(of inner: Model) -> Model {
    let frame = ModelFrame(
      prefix: policy, layout: layout, tensors: twin,
      config: parameters + Require(.cs, "model_name", .string(inner.name)).configRules
        + Fill(.cs, "model_name", .string(inner.name)).configRules)
    let releases = inner.ladder.from(oldest.plain).revisions
    return Model(
      "dpo", csClass: "DPOModel", caveat: caveat,
      ladder: Ladder(
        oldest: plain, revisions: [step(inner)] + releases.map { $0.framed(under: [policy, reference], as: .dpo) }),
      offered: .between(plain...oldest),
      bridges: inner.bridge(covering: layout).map { [$0.framed(frame, covers: oldest...newest)] } ?? [])
  }

  /// The reference model.
  @RulesBuilder private static var twin: [Rule] {
    Copied(.cs, "\(reference).{rest}", of: "\(policy).{rest}")
  }

  /// How the training goes, which has no counterpart in a model alone.
  @ConfigRulesBuilder private static var parameters: [ConfigRule] {
    Fill(.cs, "dpo", ["beta": 0.1, "reference_free": false])
    Ignore(.cs, "dpo")
  }

  /// From a decoder of release 2.1 to its training: every key of the decoder moves under the policy model.
  private static func step(_ inner: Model) -> Revision {
    let rules = inner.bridge(covering: plain.plain)?.crossing(at: plain.plain, zooName: inner.zooName).tensors ?? []
    return Revision(
      oldest, coversAllKeys: true, bareSide: .newer, tensors: moved(rules.flatMap { $0.claims(.cs) }),
      config: sections)
  }

  @RulesBuilder private static func moved(_ keys: [KeyPattern]) -> [Rule] {
    Scope("", policy) { for key in keys.uniqued { Rename(key, key) } }
    twin
  }

  @ConfigRulesBuilder private static var sections: [ConfigRule] {
    parameters
    // The name of the class; the plain model has none in release 2.1.
    Ignore(.newer, "name")
    Check(.older) { (config) throws(ConfigFailure) in
      guard config["dpo"] == nil else {
        throw ConfigFailure(
          "dpo",
          "The params have a section 'dpo', as those of \(oldest) do: use --src-fmt \(oldest). If they are of the plain "
            + "model, take the section out.")
      }
    }
    Check(.newer) { (config) throws(ConfigFailure) in
      guard config["dpo"] != nil else {
        throw ConfigFailure(
          "dpo", "The params lack the section 'dpo', so they are not of \(oldest). Add it, or use --src-fmt \(plain).")
      }
    }
  }
}

extension [KeyPattern] {
  /// The patterns without repetitions, in their order.
  fileprivate var uniqued: [KeyPattern] { reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
}
