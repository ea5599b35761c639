import API
import Core
import HTTPTypes

/// What the routes of models do.
extension Operation {
  static let listModels = Operation(
    id: "listModels", group: .models, summary: "List all models and what converts to what.",
    answers: [Answer(status: 200, summary: "The catalogue.", content: [.json(.modelList)])])

  static let getModel = Operation(
    id: "getModel", group: .models, summary: "One model, by its name or an alias.",
    answers: [Answer(status: 200, summary: "The model.", content: [.json(.model)])],
    refusals: [Refusal(.notFound, .unknownModel)])
}
