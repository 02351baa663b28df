locals {
  services = toset(concat([
    "artifactregistry.googleapis.com",
    "batch.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudquotas.googleapis.com",
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

# Agents that come into being on request may lack the roles that they get when Google makes them by itself.
resource "google_project_iam_member" "agents" {
  #checkov:skip=CKV_GCP_49:these are the roles that Google itself gives to its own agents, and no account of ours has them
  for_each = {
    "batch.googleapis.com"    = "roles/batch.serviceAgent"
    "eventarc.googleapis.com" = "roles/eventarc.serviceAgent"
  }
  project = var.project_id
  role    = each.value
  member  = google_project_service_identity.agents[each.key].member
}

# A role holds a while after it was given: triggers of an agent without its role are refused
# (hashicorp/terraform-provider-google issue 25294), and so are the builds of functions.
resource "time_sleep" "roles" {
  create_duration = "90s"
  triggers        = { agents = join(",", [for agent in google_project_service_identity.agents : agent.email]) }
  depends_on = [
    google_artifact_registry_repository_iam_member.build_pushes_functions,
    google_project_iam_member.agents,
    google_project_iam_member.build,
    google_project_iam_member.build_reads_copied_source,
    google_project_iam_member.storage_publishes,
    google_service_account_iam_member.functions_act_as_batch,
    google_storage_bucket_iam_member.build_reads_source,
  ]
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
