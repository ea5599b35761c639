import Core
import HTTPService
import Inputs
import Jobs

extension Settings {
  /// What holds for downloads and the hub.
  var fetching: FetchSettings {
    FetchSettings(limits: fetchLimits, egress: egress, hubEndpoint: hubEndpoint, hubToken: hubToken)
  }

  /// What holds for the server; `requiresTokens` is what the data folder remembers by now.
  var server: APIServer.Settings {
    APIServer.Settings(
      host: host, port: port, maximumConnections: maximumConnections, requiresTokens: requiresTokens ?? false,
      allowsAnonymous: allowsAnonymous, visibility: visibility, maximumUpload: maximumUpload,
      partialLifetime: retention.partials, planTime: planTime,
      conversion: .init(memoryBudget: memoryBudget, threads: threads), hubEndpoint: hubEndpoint, hasPage: ui == .on,
      workers: workers, lease: lease)
  }
}
