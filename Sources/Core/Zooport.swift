/// The program as a whole.
public enum Zooport {
  /// The version, as reports and `--version` tell it.
  public static let version = "0.1.0"
}
