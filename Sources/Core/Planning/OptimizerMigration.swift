import OrderedCollections

/// Takes the optimizer state of a Model Zoo checkpoint to another release: its entries follow the parameters that they
/// belong to.
///
/// Releases that name parameters in the optimizer keep `optimizer.state` by parameter name and list the names in
/// `optimizer.param_groups[i].params`; see the format page on HDF5. Entries that are numbered stay as they are: torch counts
/// parameters in the order of the model, which a rename does not change.
struct OptimizerMigration {
  /// What became of a parameter of the source.
  private enum Fate {
    case kept(as: String)
    case changed(how: String)
  }

  private var fates: [String: Fate] = [:]
  /// Parameters of the source, whether they are in the target or not.
  private let sources: Set<String>

  /// Finds out what became of each parameter from the converted state dict itself, so that no rule is read twice.
  ///
  /// `sources` are the keys of the state dict that was read. Complexity: O(tensors).
  init(sources: some Sequence<String>, converted: StateDict) {
    self.sources = Set(sources)
    for (key, value) in converted.values {
      guard let tensor = value.tensor else { continue }
      if case .source(let source) = tensor.expression {
        // A tied parameter keeps its own name where it can.
        if case .kept = fates[source], key != source { continue }
        fates[source] = .kept(as: key)
      } else {
        for source in tensor.expression.sourceKeys where fates[source] == nil {
          fates[source] = .changed(how: tensor.expression.summary)
        }
      }
    }
  }

  /// The entries beside the state dict with parameters of optimizers renamed; one warning for each state that is dropped.
  func migrated(
    _ entries: [ObjectTree<SymbolicTensor>.Entry], warnings: inout [Diagnostic]
  ) -> [ObjectTree<SymbolicTensor>.Entry] {
    entries.map { entry in
      guard entry.key == .string("optimizer"), case .dictionary(let parts, let ordered) = entry.value else {
        return entry
      }
      let migrated = parts.map { part -> ObjectTree<SymbolicTensor>.Entry in
        switch part.key {
        case .string("state"): .init(part.key, states(part.value, &warnings))
        case .string("param_groups"): .init(part.key, groups(part.value))
        default: part
        }
      }
      return .init(entry.key, .dictionary(migrated, ordered: ordered))
    }
  }

  private func states(
    _ tree: ObjectTree<SymbolicTensor>, _ warnings: inout [Diagnostic]
  ) -> ObjectTree<SymbolicTensor> {
    guard case .dictionary(let entries, let ordered) = tree else { return tree }
    var migrated: [ObjectTree<SymbolicTensor>.Entry] = []
    migrated.reserveCapacity(entries.count)
    for entry in entries {
      guard case .string(let name) = entry.key, sources.contains(name) else {
        migrated.append(entry)
        continue
      }
      if let target = target(of: name) {
        migrated.append(.init(.string(target), entry.value))
      } else {
        warnings.append(
          Diagnostic(
            .warning, .stateDictMismatch, .tensor(name),
            "The optimizer state of \(name) is left out: \(reason(name)). Training restarts with a fresh state for it.")
        )
      }
    }
    return .dictionary(migrated, ordered: ordered)
  }

  /// Parameter groups with the names in `params` replaced.
  private func groups(_ tree: ObjectTree<SymbolicTensor>) -> ObjectTree<SymbolicTensor> {
    guard case .list(let groups) = tree else { return tree }
    return .list(
      groups.map { group in
        guard case .dictionary(let entries, let ordered) = group else { return group }
        let migrated = entries.map { entry in
          guard entry.key == .string("params"), case .list(let names) = entry.value else { return entry }
          return ObjectTree<SymbolicTensor>.Entry(entry.key, .list(names.compactMap(renamed)))
        }
        return .dictionary(migrated, ordered: ordered)
      })
  }

  private func renamed(_ name: ObjectTree<SymbolicTensor>) -> ObjectTree<SymbolicTensor>? {
    guard case .string(let text) = name, sources.contains(text) else { return name }
    return target(of: text).map { .string($0) }
  }

  private func target(of name: String) -> String? {
    if case .kept(let target) = fates[name] { target } else { nil }
  }

  private func reason(_ name: String) -> String {
    if case .changed(let how) = fates[name] {
      "its parameter is not just renamed but changed (\(how))"
    } else {
      "the target has no such parameter"
    }
  }
}
