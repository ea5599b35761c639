import OrderedCollections

/// Converts the config of a request along a route. Pure: values in, values out.
struct ConfigPlanner {
  /// The configs around one hop, for the tensor rules of that hop.
  struct Step {
    /// The rules of the hop.
    let hop: Route.Hop
    /// The model configs of both sides.
    var context: RuleContext
    /// What is folded into the weights before the hop, with the config that says how much.
    var folds: [(fold: Fold, config: ConfigObject)] = []
  }

  /// What comes out.
  struct Outcome {
    /// The whole output document.
    var document: ConfigObject
    /// One entry for each hop.
    var steps: [Step]
    /// Keys that no rule knows.
    var warnings: [Diagnostic]
  }

  /// Converts a document. Throws `.configNotConvertible` with one diagnostic for each key at fault.
  static func convert(_ document: ConfigObject, along route: Route) throws(ConversionError) -> Outcome {
    try ConfigIdentity.check(document, along: route)
    var outcome = Outcome(document: document, steps: [], warnings: [])
    for hop in route.hops {
      switch hop {
      case .bridge(let crossing, .left):
        let section = try convert(crossing.reading(outcome.document), hop, &outcome)
        outcome.document = crossing.outside.movedOut(of: section)
      case .bridge(let crossing, .right):
        var section = try crossing.section(of: outcome.document, format: route.source)
        var folds: [(fold: Fold, config: ConfigObject)] = []
        for fold in route.folds where fold.applies(outcome.document, section) {
          folds.append((fold, section))
          do throws(ConfigFailure) { section = try fold.config(section) } catch { throw failure([error]) }
        }
        let converted = try convert(section, hop, &outcome)
        outcome.steps[outcome.steps.count - 1].folds = folds
        outcome.document = converted.labelled(crossing.header)
      case .revision(let revision, let side):
        if side == .newer { try apply(revision, from: side, along: route, &outcome) }
        let section = try ModelSection.find(in: outcome.document, format: route.source)
        let converted = try convert(section, hop, &outcome)
        outcome.document = ModelSection.replace(in: outcome.document, with: converted)
        if side == .older { try apply(revision, from: side, along: route, &outcome) }
      }
    }
    return outcome
  }

  /// Converts the model's section across a hop and records the step.
  private static func convert(
    _ section: ConfigObject, _ hop: Route.Hop, _ outcome: inout Outcome
  ) throws(ConversionError) -> ConfigObject {
    let (source, target) = try ConfigEngine(hop: hop, config: section).convert(section, warnings: &outcome.warnings)
    let context =
      hop.from == .left ? RuleContext(left: source, right: target) : RuleContext(left: target, right: source)
    outcome.steps.append(Step(hop: hop, context: context))
    return target
  }

  /// Changes the document around the model's section as a revision says.
  private static func apply(
    _ revision: Revision, from side: Side, along route: Route, _ outcome: inout Outcome
  ) throws(ConversionError) {
    let (document, warnings) = try DocumentRules.apply(
      revision.document, to: outcome.document, from: side,
      context: DocumentContext(modelName: route.zooName, start: route.source))
    outcome.document = document
    outcome.warnings += warnings
  }

  private static func failure(_ failures: [ConfigFailure]) -> ConversionError {
    .configRefused(failures.map { Diagnostic(.error, .configNotConvertible, .config($0.key), $0.message) })
  }
}

extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// The config behind the labels that it has no values of its own for, in each section.
  fileprivate func labelled(_ labels: ConfigObject) -> ConfigObject {
    var labelled = labels
    for (key, value) in self {
      if case .object(let section) = value, case .object(let inner)? = labels[key] {
        labelled[key] = .object(section.labelled(inner))
      } else {
        labelled[key] = value
      }
    }
    return labelled
  }
}
