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
  disable_on_destroy = false # other software in the project may use the service
}

data "google_project" "project" {
  depends_on = [google_project_service.services]
}

# Creates Google's service agents now: by default they are created on first use, too late for the roles below.
resource "google_project_service_identity" "agents" {
  provider   = google-beta
  for_each   = toset(["batch.googleapis.com", "eventarc.googleapis.com"])
  service    = each.value
  depends_on = [google_project_service.services]
}

# Agents created this way can lack the roles that Google grants when it creates them itself.
resource "google_project_iam_member" "agents" {
  #checkov:skip=CKV_GCP_49:Google grants these roles to its own service agents by default; no account of ours has them
  for_each = {
    "batch.googleapis.com"    = "roles/batch.serviceAgent"
    "eventarc.googleapis.com" = "roles/eventarc.serviceAgent"
  }
  project = var.project_id
  role    = each.value
  member  = google_project_service_identity.agents[each.key].member
}

# A granted role takes a while to be effective. Until then, creating triggers
# (hashicorp/terraform-provider-google issue 25294) and building functions fails, so terraform waits.
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

# On the project: Cloud Storage publishes its events on a topic that Eventarc creates, so its name is not known here.
resource "google_project_iam_member" "storage_publishes" {
  project = var.project_id
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}
