/// Everything that brings files from elsewhere, put together once for a service or a command.
struct Fetching: Sendable {
  let fetcher: Fetcher
  let hub: HubClient
  let cache: DownloadCache
  let vault: SecretVault
  let space: FreeSpace

  /// Creates the cache folder. Throws a Foundation error.
  init(settings: Settings, cache: DownloadCache, vault: SecretVault, space: FreeSpace) {
    fetcher = Fetcher(policy: settings.egress, limits: settings.fetchLimits)
    hub = HubClient(
      endpoint: settings.hubEndpoint, policy: settings.egress, limits: settings.fetchLimits, token: settings.hubToken)
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
