import API
import Inputs
import Jobs

/// Reads the `webhook` of a submission and names everything that is wrong with it.
struct WebhookReader {
  private(set) var webhook: Webhook?
  private(set) var findings = Findings()

  private static let form = "webhook must be {\"url\": \"https://...\", \"secret\": \"whsec_...\"}"

  init(_ value: JSONTree?, vault: SecretVault) {
    let members: [String: JSONTree]
    switch value {
    case nil, .null: return
    case .object(let object): members = object
    default:
      findings.append(.init(field: "webhook", Self.form))
      return
    }
    for name in members.keys.sorted() where name != "url" && name != "secret" {
      refuse(name, "there is no such member; \(Self.form)")
    }
    let url = url(members["url"])
    let secret = secret(members["secret"], vault)
    guard findings.isEmpty, let url, let secret else { return }
    webhook = Webhook(target: Webhook.Target(id: .generate(), url: url, secret: secret))
  }

  private mutating func url(_ value: JSONTree?) -> SourceURL? {
    guard case .string(let text) = value else {
      refuse("url", "it must be a string such as \"https://ci.example.org/hooks/zooport\"")
      return nil
    }
    do {
      return try SourceURL(text)
    } catch {
      refuse("url", error.reason)
      return nil
    }
  }

  private mutating func secret(_ value: JSONTree?, _ vault: SecretVault) -> SealedSecret? {
    // The message never repeats what was sent.
    guard case .string(let text) = value, WebhookSecret(text) != nil, let sealed = try? vault.seal(text) else {
      refuse("secret", WebhookSecret.rule)
      return nil
    }
    return sealed
  }

  private mutating func refuse(_ name: String, _ message: String) {
    findings.append(.init(field: "webhook.\(name)", "webhook.\(name): \(message)"))
  }
}
