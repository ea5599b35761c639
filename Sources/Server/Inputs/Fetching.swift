/// What an operator decides about bringing files from elsewhere.
package struct FetchSettings: Sendable {
  package var limits = Fetcher.Limits()
  /// Where requests may go, and whom they trust.
  package var egress = EgressPolicy()
  package var hubEndpoint: SourceURL
  /// The operator's; nil asks for open repositories only.
  package var hubToken: HubToken?

  package init(
    limits: Fetcher.Limits = Fetcher.Limits(), egress: EgressPolicy = EgressPolicy(), hubEndpoint: SourceURL,
    hubToken: HubToken? = nil
  ) {
    self.limits = limits
    self.egress = egress
    self.hubEndpoint = hubEndpoint
    self.hubToken = hubToken
  }
}

/// Everything that brings files from elsewhere, put together once for a service or a command.
package struct Fetching: Sendable {
  let fetcher: Fetcher
  package let hub: HubClient
  package let cache: DownloadCache
  package let vault: SecretVault
  package let space: FreeSpace

  /// An hour: what a person at a terminal is told of and waits for. Limits of a hub begin anew every few minutes.
  private static let longestAttendedWait: Duration = .seconds(3600)

  /// With `notice` somebody watches, who is told of long pauses that a server asks for, and waits. Without, a job is put
  /// off instead.
  package init(
    settings: FetchSettings, cache: DownloadCache, vault: SecretVault, space: FreeSpace,
    notice: (@Sendable (String) -> Void)? = nil
  ) {
    var limits = settings.limits
    if notice != nil { limits.longestWait = Self.longestAttendedWait }
    fetcher = Fetcher(policy: settings.egress, limits: limits, notice: notice)
    hub = HubClient(
      endpoint: settings.hubEndpoint, policy: settings.egress, limits: limits, token: settings.hubToken, notice: notice)
    self.cache = cache
    self.vault = vault
    self.space = space
  }

  /// What stages the inputs of one job. `isCancelled` is asked several times a second. `reservation` is the job's, when
  /// others run beside it.
  package func staging(
    reservation: DiskReservation? = nil,
    isCancelled: @escaping @Sendable () -> Bool, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
  ) -> InputStaging {
    InputStaging(
      resolver: InputResolver(hub: hub, fetcher: fetcher, cache: cache, vault: vault, isCancelled: isCancelled),
      reservation: reservation ?? DiskReservation(space), progress: progress)
  }
}
