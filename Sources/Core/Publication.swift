/// Complete output files that appear together or not at all.
struct Publication {
  /// The files, in the order in which they were added.
  private(set) var files: [StagedFile] = []

  /// Where the files appear.
  var paths: [String] { files.map(\.path) }

  /// Adds a file that is complete.
  mutating func add(_ file: StagedFile) { files.append(file) }

  /// Gives every file its name, in the order in which they were added.
  ///
  /// When `durably`, all content is on the disk before the first name appears, and all names are when this returns. Throws
  /// `.outputFailed` or `.diskFull`; names that were given by then are taken away again, and files that they had replaced
  /// come back.
  func publish(durably: Bool) throws(ConversionError) {
    if durably { for file in files { try file.synchronize() } }
    for (position, file) in files.enumerated() {
      do throws(ConversionError) { try file.publish(durably: durably) } catch {
        for published in files[..<position] { published.withdraw() }
        throw error
      }
    }
  }
}
