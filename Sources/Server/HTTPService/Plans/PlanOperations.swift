import API
import Core
import HTTPTypes

/// What the routes of plans do.
extension Operation {
  static let makePlan = Operation(
    id: "makePlan", group: .jobs, summary: "Say what a job would do and cost, from headers alone.",
    details:
      "Takes the body of a job and keeps nothing of it. A checkpoint that cannot be converted is an answer, too; the other "
      + "statuses are for inputs that cannot be had.",
    body: submissionBody,
    answers: [Answer(status: 200, summary: "The plan.", content: [.json(.plan)])],
    refusals: [
      Refusal(.contentTooLarge, .tooLarge), Refusal(.unsupportedMediaType, .unsupportedMediaType),
      Refusal(
        .unprocessableContent, .invalidRequest, .unknownModel, .unsupportedPair,
        .hostileInput, .sourceGated, .sourceNotFound,
        .tokenRefused, .revisionNotFound, .fileNotFound),
      Refusal(.badGateway, .fetchFailed), Refusal(.serviceUnavailable, .unavailable),
    ])
}
