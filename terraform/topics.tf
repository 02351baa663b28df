# Batch publishes the state changes of jobs here.
resource "google_pubsub_topic" "batch" {
  name       = "epydrop-batch"
  depends_on = [google_project_service.services]
}

# Google's documentation says that the job's account publishes; the permissions of Batch's service agent suggest that
# the agent does. Both get the role, on this topic only.
resource "google_pubsub_topic_iam_member" "batch_publishes" {
  for_each = {
    agent = google_project_service_identity.agents["batch.googleapis.com"].member
    job   = google_service_account.batch.member
  }
  topic  = google_pubsub_topic.batch.name
  role   = "roles/pubsub.publisher"
  member = each.value
}

# Kicks: commands of people, and the checks of the sweep.
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

# Notifications about runs, for any subscriber.
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
