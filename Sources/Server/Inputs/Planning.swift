package import API
package import Core
import Foundation
import OrderedCollections
import Synchronization
package import SystemPackage

/// Plans a conversion from the headers of its inputs, wherever they are. Blocks.
package struct Planning: Sendable {
  package let staging: InputStaging
  /// Uploads are files of a command line, to be read under their own paths.
  var leavesUploads = false

  package init(staging: InputStaging, leavesUploads: Bool = false) {
    self.staging = staging
    self.leavesUploads = leavesUploads
  }

  /// A plan and what it took to make it.
  package struct Outcome: Sendable {
    package let report: PlanReport
    /// The commits that references to a hub stand for, each once.
    let commits: [String]
    /// Bytes that were fetched, and the time it took, both for this plan alone.
    package let fetched: Int
    package let time: Duration

    /// The plan as JSON.
    package var document: ConfigObject {
      var document = report.document
      document["commits"] = .array(commits.map { .string($0) })
      document["planning"] = ["bytes_fetched": .int(fetched), "seconds": .double(time / .seconds(1))]
      return document
    }
  }

  /// Plans a request whose config and checkpoint are elsewhere, or some of them. `upload` answers the path of an upload, `memory` is told what names and values take.
  ///
  /// Throws when inputs cannot be had; an input that cannot be converted is an outcome.
  package func plan(
    _ request: ConversionRequest, config: JobInput, checkpoint: [JobInput], memory: MemoryAccount? = nil,
    upload: (Identifier, FileName) -> FilePath
  ) throws(ConversionError) -> Outcome {
    let start = ContinuousClock.now
    let fetched = ByteCounter()
    let staging = staging.hasty { fetched.add($0) }
    do throws(TransferFailure) {
      let inputs = try staging.resolver.resolve(config: config, checkpoint: checkpoint)
      let staged = try staging.open(inputs, upload: upload, leavesUploads: leavesUploads)
      var request = request
      staged.hand(to: &request)
      request.memory = memory
      var report: PlanReport
      do throws(ConversionError) {
        report = try PlanReport(request, isCancelled: staging.resolver.isCancelled)
      } catch {
        throw TransferFailure(error)
      }
      // Carried files are downloaded and copied; the conversion itself does not know of them.
      let missing = inputs.carried.map(staging.missingBytes).saturatingSum()
      let size = inputs.carried.map { $0.size ?? 0 }.saturatingSum()
      if report.error == nil {
        report.totals.bytesToDownload = [report.totals.bytesToDownload, missing].saturatingSum()
        report.totals.diskNeeded = [report.totals.diskNeeded, missing, size].saturatingSum()
      }
      let pinned = inputs.pinned.config.parts + inputs.pinned.checkpoint
      let commits = pinned.compactMap { input in if case .hub(let hub, _) = input { hub.commit } else { nil } }
      return Outcome(
        report: report, commits: Array(OrderedSet(commits)), fetched: fetched.total, time: .now - start)
    } catch {
      throw error.conversionError
    }
  }

  private final class ByteCounter: Sendable {
    private let count = Atomic<Int>(0)

    var total: Int { count.load(ordering: .relaxed) }
    func add(_ bytes: Int) { count.wrappingAdd(bytes, ordering: .relaxed) }
  }
}
