/// Complete output files that appear together or not at all.
struct Publication {
  /// The files, in the order in which they were added.
  private(set) var files: [StagedFile] = []

  /// Adds a file that is complete.
  mutating func add(_ file: StagedFile) { files.append(file) }

  /// Gives every file its name, in the order in which they were added.
  ///
  /// When `durably`, all content is on the disk before the first name appears, and all names are when this returns. Throws
  /// `.outputFailed` or `.diskFull`; names that were given by then are taken away again, and files that they had replaced
  /// come back.
  func publish(durably: Bool, monitor: any ConversionMonitor = UnattendedMonitor()) throws(ConversionError) {
    let progress = PhaseProgress(
      .publishing, total: durably ? files.lazy.map(\.size).saturatingSum() : 0, monitor: monitor)
    if durably { for file in files { try file.synchronize { progress.advance($0) } } }
    for (position, file) in files.enumerated() {
      do throws(ConversionError) { try file.publish(durably: durably) } catch {
        for published in files[..<position] { published.withdraw() }
        throw error
      }
    }
  }
}
