import Hummingbird
import Jobs
import NIOCore

/// What a handler knows beside the request: its log with the request's id, what the path captured, and who asks.
struct ServiceContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  /// Set before the handler is called, from the token of the request and the access that the route declares.
  var principal = Principal.nobody

  /// What the request came over.
  let channel: any Channel

  /// Notes that the body of an answer broke off by a fault of the service. Set with the principal.
  var reportFault: @Sendable (any Error) -> Void = { _ in }

  /// Ends the connection of the request from another task.
  var hangUp: @Sendable () -> Void { { [channel] in channel.close(promise: nil) } }

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}
