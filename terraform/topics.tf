# Batch announces here what becomes of its jobs.
resource "google_pubsub_topic" "batch" {
  name       = "epydrop-batch"
  depends_on = [google_project_service.services]
}

# Google's pages ask for the role on the account of the job; the permissions of Batch's own agent suggest that it is
# the one who publishes. Both have it, on this topic only.
resource "google_pubsub_topic_iam_member" "batch_publishes" {
  for_each = {
    agent = google_project_service_identity.agents["batch.googleapis.com"].member
    job   = google_service_account.batch.member
  }
  topic  = google_pubsub_topic.batch.name
  role   = "roles/pubsub.publisher"
  member = each.value
}

# What people ask of a run, and the checks that the sweep asks for.
resource "google_pubsub_topic" "kicks" {
  name       = "epydrop-kicks"
  depends_on = [google_project_service.services]
}

resource "google_pubsub_topic_iam_member" "sweep_publishes_checks" {
  topic  = google_pubsub_topic.kicks.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.functions["on_kick"].member
}

resource "google_pubsub_topic_iam_member" "users_kick" {
  for_each = var.users
  topic    = google_pubsub_topic.kicks.name
  role     = "roles/pubsub.publisher"
  member   = each.value
}

# News of runs, for whoever wants to subscribe.
resource "google_pubsub_topic" "runs" {
  name       = "epydrop-runs"
  depends_on = [google_project_service.services]
}

resource "google_pubsub_topic_iam_member" "functions_tell_news" {
  for_each = local.functions
  topic    = google_pubsub_topic.runs.name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.functions[each.key].member
}
