/// The memo of a pickle machine. Picklers count from zero, so entries lie in an array; stray indices cost one
/// dictionary entry each, whatever their size.
struct PickleMemo {
  private var dense: [PickleValue] = []
  private var sparse: [Int: PickleValue] = [:]

  /// Number of entries; the index that `MEMOIZE` uses next.
  var count: Int { dense.count + sparse.count }

  /// The value of an entry, nil when it was never set.
  subscript(_ index: Int) -> PickleValue? {
    index < dense.count ? dense[index] : sparse[index]
  }

  /// Sets an entry.
  mutating func set(_ index: Int, _ value: PickleValue) {
    if index < dense.count {
      dense[index] = value
    } else if index == dense.count, sparse.isEmpty {
      dense.append(value)
    } else {
      sparse[index] = value
    }
  }
}
