/// Everything that brings files from elsewhere, put together once for a service or a command.
struct Fetching: Sendable {
  let fetcher: Fetcher
  let hub: HubClient
  let cache: DownloadCache
  let vault: SecretVault
  let space: FreeSpace

  /// An hour: what a person at a terminal is told of and waits for. Limits of a hub begin anew every few minutes.
  private static let longestAttendedWait: Duration = .seconds(3600)

  /// With `notice` somebody watches, who is told of long pauses that a server asks for, and waits. Without, a job is put
  /// off instead.
  init(
    settings: Settings, cache: DownloadCache, vault: SecretVault, space: FreeSpace,
    notice: (@Sendable (String) -> Void)? = nil
  ) {
    var limits = settings.fetchLimits
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
  func staging(
    reservation: DiskReservation? = nil,
    isCancelled: @escaping @Sendable () -> Bool, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
  ) -> InputStaging {
    InputStaging(
      resolver: InputResolver(hub: hub, fetcher: fetcher, cache: cache, vault: vault, isCancelled: isCancelled),
      reservation: reservation ?? DiskReservation(space), progress: progress)
  }
}
