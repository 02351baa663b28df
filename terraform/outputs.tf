output "drop_into" {
  description = "Where experiments are dropped."
  value       = "gs://${google_storage_bucket.trigger.name}/${local.experiments_prefix}"
}

output "image" {
  description = "The digest of the image that new runs are bound to; empty until Cloud Build has released one."
  value       = local.image_digest
}

output "image_repository" {
  description = "Where the stage image is pushed."
  value       = local.image_repository
}

output "kick_topic" {
  description = "Where kicks are published."
  value       = google_pubsub_topic.kicks.name
}

output "runs_url" {
  description = "Where the runs lie."
  value       = local.data_url
}
