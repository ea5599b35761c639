import Foundation
import Synchronization
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Memory of jobs")
struct MemoryGateTests {
  @Test("What a job needs: twice its inputs, within bounds, and everything when nothing is known")
  func need() {
    let budget = 256 << 20
    for (input, need) in [
      (0, 16 << 20), (1 << 20, 16 << 20), (20 << 20, 40 << 20), (200 << 20, 256 << 20), (Int.max, 256 << 20),
      (nil, 256 << 20),
    ] as [(Int?, Int)] {
      #expect(JobMemory.need(inputBytes: input, budget: budget) == need, "\(input ?? -1)")
    }
    #expect(JobMemory.need(inputBytes: 0, budget: 1 << 20) == 1 << 20)
  }

  @Test("Lanes: the first of several workers takes small jobs, with memory set aside")
  func lanes() throws {
    let mega = 1 << 20
    let lanes = WorkLane.lanes(workers: 3, smallJob: 64 * mega, totalMemory: 700 * mega, budget: 256 * mega)
    #expect(lanes.map(\.largestInput) == [64 * mega, nil, nil])
    #expect(lanes.map(\.gate.bytes) == [128 * mega, 572 * mega, 572 * mega])
    #expect(lanes[1].gate === lanes[2].gate)
    #expect(lanes.map { $0.reservation(budget: 256 * mega) } == [128 * mega, 256 * mega, 256 * mega])
    #expect(WorkLane.leastMemory(workers: 3, smallJob: 64 * mega, budget: 256 * mega) == 384 * mega)
    for (workers, small) in [(1, 64 * mega), (2, 0)] {
      let lanes = WorkLane.lanes(workers: workers, smallJob: small, totalMemory: nil, budget: 256 * mega)
      #expect(lanes.map(\.largestInput) == Array(repeating: nil, count: workers))
      #expect(lanes[0].gate.bytes == workers * 256 * mega)
      #expect(WorkLane.leastMemory(workers: workers, smallJob: small, budget: 256 * mega) == 256 * mega)
    }
  }

  @Test("Threads never hold more than the budget, and all get their turn")
  func budget() async {
    let gate = MemoryGate(bytes: 100)
    let held = Mutex((now: 0, most: 0, turns: 0))
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      let group = DispatchGroup()
      for index in 0..<8 {
        group.enter()
        Thread {
          for _ in 0..<50 {
            let wanted = index == 0 ? 100 : 10 + 7 * index
            guard gate.reserve(wanted, isStopped: { false }) else { continue }
            held.withLock {
              $0.now += wanted
              $0.most = max($0.most, $0.now)
              $0.turns += 1
            }
            held.withLock { $0.now -= wanted }
            gate.release(wanted)
          }
          group.leave()
        }.start()
      }
      group.notify(queue: .global()) { done.resume() }
    }
    let (most, turns) = held.withLock { ($0.most, $0.turns) }
    #expect(most <= 100)
    #expect(turns == 400)
    #expect(gate.available == 100)
  }

  @Test("A large wish is not passed over by smaller ones that come later; stopping frees everybody")
  func order() async {
    let gate = MemoryGate(bytes: 10)
    #expect(gate.reserve(5, isStopped: { false }))
    let served = Mutex<[Int]>([])
    let isStopped = Mutex(false)
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      let group = DispatchGroup()
      for wanted in [10, 5] {
        group.enter()
        Thread {
          if gate.reserve(wanted, isStopped: { isStopped.withLock { $0 } }) {
            served.withLock { $0.append(wanted) }
            gate.release(wanted)
          }
          group.leave()
        }.start()
        Thread.sleep(forTimeInterval: 0.05)
      }
      // The 5 would fit, but the 10 came first.
      #expect(served.withLock { $0 }.isEmpty)
      gate.release(5)
      group.notify(queue: .global()) { done.resume() }
    }
    #expect(served.withLock { $0 } == [10, 5])

    #expect(gate.reserve(10, isStopped: { false }))
    isStopped.withLock { $0 = true }
    #expect(!gate.reserve(1, isStopped: { isStopped.withLock { $0 } }))
    #expect(gate.available == 0)
  }
}
