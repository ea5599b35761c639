/// Where the records of the service live. They are one store behind several protocols: a job and its uploads are added in one
/// transaction.
package struct Stores: Sendable {
  package let jobs: any JobStore
  package let webhooks: any WebhookStore
  package let uploads: any UploadStore
  package let partials: any PartialUploadStore
  package let tokens: any TokenStore

  package init(
    jobs: any JobStore, webhooks: any WebhookStore, uploads: any UploadStore, partials: any PartialUploadStore,
    tokens: any TokenStore
  ) {
    self.jobs = jobs
    self.webhooks = webhooks
    self.uploads = uploads
    self.partials = partials
    self.tokens = tokens
  }
}
