/// What the catalogue says of one model: for `zooport list`, `GET /v1/models` and the documentation.
public struct ModelListing: Sendable, Hashable {
  /// One direction between two formats.
  public struct Conversion: Sendable, Hashable {
    /// From.
    public let source: Format
    /// To.
    public let target: Format
    /// Classes on both sides and caveats, one paragraph.
    public let note: String
    /// True when the pair is composed of other pairs and the vendor's tool does not offer it.
    public let composed: Bool
  }

  /// The name that `--model` takes.
  public let name: String
  /// Other names that `--model` takes.
  public let aliases: [String]
  /// Every pair, in catalogue order.
  public let conversions: [Conversion]
}
