# The sweep: one message that makes the functions look after every run that is open or unsettled.
# Cloud Scheduler's own agent may publish in its project without a further role.
resource "google_cloud_scheduler_job" "sweep" {
  name        = "epydrop-sweep"
  region      = var.region
  description = "Finishes what a lost event or a crash left undone"
  schedule    = "*/5 * * * *"
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.kicks.id
    data       = base64encode(jsonencode({ sweep = true }))
  }

  depends_on = [google_project_service.services]
}
