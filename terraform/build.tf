# The service account of builds: of the stage image (cloudbuild.yaml) and of the functions.
resource "google_service_account" "build" {
  account_id   = "epydrop-build"
  display_name = "epydrop: builds"
  depends_on   = [google_project_service.services]
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/ondemandscanning.admin"])
  project  = var.project_id
  role     = each.value
  member   = google_service_account.build.member
}

# On the project: Cloud Functions copies the archive into its own bucket, which it creates with the first function.
resource "google_project_iam_member" "build_reads_copied_source" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "only gcf-v2-sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.project.number}-${var.region}\")"
  }
}
