import Foundation
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Tokens")
struct TokenTests {
  @Test("Secrets are long, differ, and are read back; their digest is the SHA-256 of the text")
  func secrets() throws {
    let secrets = (0..<200).map { _ in TokenSecret.generate().text }
    #expect(Set(secrets).count == 200)
    for text in secrets {
      #expect(text.utf8.count == 47)
      #expect(TokenSecret(text)?.text == text)
    }
    // 43 characters of base64 hold 256 bits: every place takes many values.
    for place in 4..<46 { #expect(Set(secrets.map { Array($0.utf8)[place] }).count > 20, "\(place)") }
    let known = try #require(TokenSecret("zpt_" + String(repeating: "A", count: 43)))
    #expect(known.digest.hexadecimal == "6414550f27531833c1e0b60715d61480faed00b6a9f48f2392e54113a3edae12")
  }

  @Test(
    "What is no secret",
    arguments: [
      "", "zpt_", "zpt_" + String(repeating: "A", count: 42), "zpt_" + String(repeating: "A", count: 44),
      "ZPT_" + String(repeating: "A", count: 43), "zpt_" + String(repeating: "+", count: 43),
      "zpt_" + String(repeating: "ä", count: 43), String(repeating: "A", count: 47),
    ])
  func noSecrets(_ text: String) { #expect(TokenSecret(text) == nil) }

  @Test("Digests match when every byte does")
  func digests() throws {
    let text = String(repeating: "0a", count: 32)
    let digest = try #require(TokenDigest(hexadecimal: text))
    #expect(digest.hexadecimal == text)
    #expect(digest.matches(digest))
    for place in 0..<64 {
      var other = Array(text)
      other[place] = other[place] == "0" ? "1" : "b"
      #expect(!digest.matches(try #require(TokenDigest(hexadecimal: String(other)))), "\(place)")
    }
    #expect(TokenDigest(hexadecimal: String(repeating: "0a", count: 31)) == nil)
    #expect(TokenDigest(hexadecimal: String(repeating: "0g", count: 32)) == nil)
  }

  @Test("Names", arguments: [("ann", true), ("ci@example.org", true), ("A_1-b.c", true), ("", false), ("a b", false)])
  func names(_ name: String, _ isValid: Bool) {
    #expect(TokenName.isValid(name) == isValid)
    #expect(!TokenName.isValid(Identifier.generate().description), "a name must never be taken for an id")
    #expect(!TokenName.isValid(String(repeating: "x", count: 65)))
  }

  @Test("Ends of tokens: times and days, never in the past")
  func expiry() {
    let now = Timestamp(milliseconds: 1_700_000_000_000)  // 2023-11-14T22:13:20Z
    let hour = 3_600_000
    for (text, milliseconds) in [
      ("12h", 12 * hour), ("90d", 90 * 24 * hour), ("2w", 14 * 24 * hour), ("2023-11-15", 6_400_000),
    ] {
      #expect(TokenExpiry.moment(text, after: now)?.milliseconds == now.milliseconds + milliseconds, "\(text)")
    }
    for text in [
      "", "h", "0d", "-1d", "12", "1y", "2023-11-14", "2023-13-01", "2023-11-15T", "9999-01-01", "99999999w",
    ] {
      #expect(TokenExpiry.moment(text, after: now) == nil, "\(text)")
    }
  }

  @Test("Who sees and who changes what", arguments: Visibility.allCases)
  func reach(_ visibility: Visibility) {
    func principal(_ name: String, _ team: String?, _ scopes: Set<AccessScope> = [.read]) -> Principal {
      Principal(
        AccessToken(id: .generate(), name: name, scopes: scopes, team: team, createdAt: .now), visibility: visibility)
    }
    func changes(_ who: Principal, _ what: Ownership) -> Bool { (try? who.requireChange(of: "x", what)) != nil }
    let (ann, mate) = (principal("ann", "red"), principal("mate", "red"))
    let (loner, other) = (principal("loner", nil), principal("other", "blue"))
    let job = ann.ownership
    #expect(job == Ownership(owner: "ann", team: "red"))
    #expect(
      [ann, mate, loner, other].map { $0.sees(job) } == [
        true, visibility != .owner, visibility == .all, visibility == .all,
      ])
    #expect([ann, mate, loner, other].map { changes($0, job) } == [true, visibility != .owner, false, false])
    // Nobody's jobs are not those of the teamless.
    #expect(loner.sees(.nobody) == (visibility == .all))
    #expect(!changes(loner, .nobody))
    #expect(loner.sees(loner.ownership) && !other.sees(Ownership(owner: "Other", team: nil)) || visibility == .all)
    let admin = principal("root", nil, [.admin])
    #expect(admin.sees(job) && admin.sees(.nobody) && changes(admin, job) && changes(admin, .nobody))
    #expect(!Principal.nobody.sees(.nobody) && !Principal.nobody.sees(job))
    #expect(Principal.anybody.sees(job) && changes(.anybody, job))
  }
}
