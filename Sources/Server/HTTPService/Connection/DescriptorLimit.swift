import Glibc

/// How many files and connections the process may have open. Shells give few at first, and more to whoever asks.
enum DescriptorLimit {
  /// Kept for the database, inputs, outputs and downloads when connections are counted.
  static let reserve = 256
  /// The most that anybody counts on, where there is no limit.
  private static let most = 1 << 20

  /// Asks for as many as the process may have, and answers how many that are.
  static func raise() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    let wanted = min(limit.rlim_max, rlim_t(most))
    if limit.rlim_cur < wanted {
      var raised = limit
      raised.rlim_cur = wanted
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    }
    return Int(min(limit.rlim_cur, rlim_t(most)))
  }

  /// Connections for a process with so many descriptors: what was asked for as far as there is room, else half of them.
  static func connections(_ wanted: Int?, of descriptors: Int) -> Int {
    max(1, min(wanted ?? min(descriptors / 2, 8192), descriptors - reserve))
  }
}
