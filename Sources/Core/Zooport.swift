/// The program as a whole.
package enum Zooport {
  /// The version, as reports and `--version` tell it.
  package static let version = "0.1.0"
}
