output "drop_into" {
  description = "The URL under which experiments are dropped."
  value       = "gs://${google_storage_bucket.trigger.name}/${local.experiments_prefix}"
}

output "image" {
  description = "The image digest that new runs use; empty until Cloud Build has released an image."
  value       = local.image_digest
}

output "image_repository" {
  description = "The repository of the stage image."
  value       = local.image_repository
}

output "kick_topic" {
  description = "The topic for kicks."
  value       = google_pubsub_topic.kicks.name
}

output "runs_url" {
  description = "The URL of the runs."
  value       = local.data_url
}
