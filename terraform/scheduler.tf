# The sweep: a periodic message that makes the functions check every open or unsettled run.
# Cloud Scheduler's service agent can publish in its own project without another role.
resource "google_cloud_scheduler_job" "sweep" {
  name        = "epydrop-sweep"
  region      = var.region
  description = "Checks every open run, to recover from lost events and crashes"
  schedule    = "*/5 * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.kicks.id
    data       = base64encode(jsonencode({ sweep = true }))
  }

  depends_on = [google_project_service.services]
}
