locals {
  services = toset(concat([
    "artifactregistry.googleapis.com",
    "batch.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "eventarc.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "ondemandscanning.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ], var.budget == null ? [] : ["billingbudgets.googleapis.com"]))
}

resource "google_project_service" "services" {
  for_each           = local.services
  service            = each.value
  disable_on_destroy = false # others in the project may use it
}

data "google_project" "project" {
  depends_on = [google_project_service.services]
}

# Google's agents come into being when they are first needed, which is too late for the roles below.
resource "google_project_service_identity" "agents" {
  provider   = google-beta
  for_each   = toset(["batch.googleapis.com", "eventarc.googleapis.com"])
  service    = each.value
  depends_on = [google_project_service.services]
}

# Eventarc's agent has its rights a while after it has come into being; triggers made before that are refused
# (hashicorp/terraform-provider-google issue 25294).
resource "time_sleep" "agents" {
  create_duration = "60s"
  triggers        = { agents = join(",", [for agent in google_project_service_identity.agents : agent.email]) }
}

data "google_storage_project_service_account" "storage" {
  depends_on = [google_project_service.services]
}

# Cloud Storage announces new objects on a topic that Eventarc makes, so the role cannot be given on one topic.
resource "google_project_iam_member" "storage_publishes" {
  project = var.project_id
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}
