import ArgumentParser
import Core
import Glibc
import OrderedCollections

/// `zooport list`: what converts to what.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the models and what each converts from and to.",
    discussion: """
      `A .. B` stands for both formats and all between them. A pair that is marked `composed` is not offered by the vendor's \
      tool; Zooport walks through the releases in between. With --pairs, read the notes: they name the exact classes on both \
      sides and what is lost or drawn at random on the way.
      """,
    aliases: ["list-converters"])

  @Argument(help: "Only this model, by name or alias; `all` for every model.")
  var model: String = "all"

  @Flag(help: "Print every pair of formats with its notes.")
  var pairs = false

  @Flag(help: "Leave out the notes.")
  var hideNotes = false

  @Flag(help: "Print JSON for programs.")
  var json = false

  @Flag(help: "Print docs/models.md.")
  var markdown = false

  func run() throws {
    if markdown {
      print(ModelsPage.render(), terminator: "")
      return
    }
    let listings: [ModelListing]
    if model.lowercased() == "all" {
      listings = Catalogue.listings
    } else if let listing = Catalogue.listing(named: model) {
      listings = [listing]
    } else {
      let known = Catalogue.listings.map(\.name).joined(separator: ", ")
      StandardError.write("ERROR: There is no model '\(model)'. Known models: \(known).\n")
      throw ExitCode(ErrorKind.unknownModel.exitStatus)
    }
    if json {
      print(Self.json(listings))
    } else {
      print(pairs ? Self.table(listings, notes: !hideNotes, width: Self.width) : Self.lines(listings))
    }
  }

  private static var width: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 120 }
    return Int(size.ws_col)
  }

  /// The same facts that `GET /v1/models` gives.
  static func json(_ listings: [ModelListing]) -> String {
    JSONWriter.render(
      .array(
        listings.map { listing in
          .object([
            "name": .string(listing.name), "aliases": .array(listing.aliases.map { .string($0) }),
            "conversions": .array(
              listing.conversions.map { conversion in
                .object([
                  "src_fmt": .string(conversion.source.description), "tgt_fmt": .string(conversion.target.description),
                  "note": .string(conversion.note), "composed": .bool(conversion.composed),
                ])
              }),
          ])
        }))
  }

  /// A few lines for each model.
  static func lines(_ listings: [ModelListing]) -> String {
    listings.map { listing in
      let aliases = listing.aliases.isEmpty ? "" : " (also called \(listing.aliases.joined(separator: ", ")))"
      let lines = listing.lines.map { "  \($0.text)\($0.composed ? " (composed)" : "")" }
      return ([listing.name + aliases] + lines).joined(separator: "\n")
    }.joined(separator: "\n")
  }

  /// A table of columns, the notes wrapped to what the width leaves.
  static func table(_ listings: [ModelListing], notes: Bool, width: Int) -> String {
    let header = ["model", "src-fmt", "tgt-fmt"]
    let rows = listings.flatMap { listing in
      listing.conversions.map { conversion in
        (
          cells: [listing.name, conversion.source.description, conversion.target.description],
          note: conversion.composed ? "(composed) \(conversion.note)" : conversion.note
        )
      }
    }
    var widths = header.map(\.count)
    for row in rows {
      for (column, cell) in row.cells.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    let indent = widths.reduce(0) { $0 + $1 + 2 }
    func line(_ cells: [String]) -> String {
      zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count + 2) }.joined()
    }
    var lines = [notes ? line(header) + "notes" : line(header)]
    for row in rows {
      guard notes else {
        lines.append(line(row.cells))
        continue
      }
      for (index, part) in wrap(row.note, width: max(width - indent, 30)).enumerated() {
        lines.append((index == 0 ? line(row.cells) : String(repeating: " ", count: indent)) + part)
      }
    }
    for listing in listings where !listing.aliases.isEmpty {
      lines.append("\(listing.name) is also called \(listing.aliases.joined(separator: ", ")).")
    }
    return lines.map { String($0.reversed().drop { $0 == " " }.reversed()) }.joined(separator: "\n")
  }

  private static func wrap(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    var current = ""
    for word in text.split(separator: " ") {
      if !current.isEmpty, current.count + 1 + word.count > width {
        lines.append(current)
        current = ""
      }
      current += current.isEmpty ? String(word) : " \(word)"
    }
    return current.isEmpty ? lines : lines + [current]
  }
}
