import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Memory of inputs")
struct InputMemoryTests {
  @Test("What is free is taken at once or not at all")
  func take() {
    let gate = MemoryGate(bytes: 10)
    #expect(gate.take(6))
    #expect(!gate.take(5))
    #expect(gate.available == 4)
    gate.release(6)
    #expect(gate.available == 10)
  }

  @Test("An account takes from the gate beyond what it begins with, and gives back at its end")
  func account() throws {
    let gate = MemoryGate(bytes: 20 << 20)
    do {
      let memory = InputMemory(gate: gate)
      let account = memory.account(budget: 256 << 20, granted: InputMemory.planBytes)
      #expect(gate.available == 20 << 20)
      #expect(account.limit == 320 << 20)
      #expect(!memory.isRefused)
    }
    #expect(gate.available == 20 << 20)
  }
}
