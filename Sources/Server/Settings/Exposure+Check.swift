import HTTPService
import Jobs
import Logging

/// Whether the address that the service listens on and its access control go together.
extension Exposure {
  /// The service would let everybody on the network in.
  struct Refused: Error, CustomStringConvertible {
    let host: String
    var description: String {
      "\(host) can be reached from other machines and there is no access token; make one with `zooport token create`, "
        + "listen on 127.0.0.1, or pass --allow-anonymous if everybody on that network may use the service"
    }
  }

  /// Says loudly who may use the service. Throws `Refused` where nobody asked for what would happen.
  static func check(_ settings: Settings, hasTokens: Bool, logger: Logger) throws(Refused) {
    // Whoever quiets the log wants to know this all the same.
    var logger = logger
    logger.logLevel = min(logger.logLevel, .info)
    switch (settings.requiresTokens ?? false, hasTokens) {
    case (_, true):
      logger.info("access tokens are required", metadata: ["visibility": "\(settings.visibility.rawValue)"])
    case (true, false):
      logger.warning("access tokens are required and none exists; make one with `zooport token create NAME`")
    case (false, false):
      guard isLoopback(settings.host) || settings.allowsAnonymous else { throw Refused(host: settings.host) }
      logger.warning(
        """
        NO ACCESS CONTROL: whoever reaches this address can see, change and delete everything; \
        make tokens with `zooport token create NAME`
        """,
        metadata: ["host": "\(settings.host)"])
    }
  }
}
