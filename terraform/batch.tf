# The service account of the tasks.
resource "google_service_account" "batch" {
  account_id   = "epydrop-batch"
  display_name = "epydrop: tasks of Cloud Batch"
  depends_on   = [google_project_service.services]
}

# On the project, because Batch has no IAM policies on single jobs.
resource "google_project_iam_member" "batch" {
  for_each = toset(["roles/batch.agentReporter", "roles/logging.logWriter"])
  project  = var.project_id
  role     = each.value
  member   = google_service_account.batch.member
}

# Submitting a job that runs as this account requires the right to act as it. The right is on this account only.
resource "google_service_account_iam_member" "functions_act_as_batch" {
  for_each           = local.functions
  service_account_id = "projects/${var.project_id}/serviceAccounts/${google_service_account.batch.email}"
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.functions[each.key].member
}

# For the pages that the links of a reply open.
resource "google_project_iam_member" "users_see_jobs" {
  for_each = var.users
  project  = var.project_id
  role     = "roles/batch.jobsViewer"
  member   = each.value
}
