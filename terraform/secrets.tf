# Terraform creates the secrets without values, since a value would be stored in its plan and state in plain text.
# `epydrop deploy key` creates the signing key, and rotates it; docs/deploy.md shows the same with gcloud.
resource "google_secret_manager_secret" "signing_key" {
  secret_id           = "epydrop-signing-key"
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  depends_on = [google_project_service.services]
}

# Only tasks sign and verify; the functions pass on the name of the secret.
resource "google_secret_manager_secret_iam_member" "batch_signs" {
  secret_id = google_secret_manager_secret.signing_key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.batch.member
}

# A GitHub token for private forecast repositories and a private modelling suite.
resource "google_secret_manager_secret" "github_token" {
  count     = var.github_token ? 1 : 0
  secret_id = "epydrop-github-token"

  replication {
    auto {}
  }

  depends_on = [google_project_service.services]
}

resource "google_secret_manager_secret_iam_member" "github_token_readers" {
  for_each = var.github_token ? {
    batch = google_service_account.batch.member
    build = google_service_account.build.member
  } : {}
  secret_id = google_secret_manager_secret.github_token[0].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

locals {
  # The latest version, not a fixed one: a new key reaches the next job without an apply. Each version contains all
  # older keys, too, so old artifacts can still be verified.
  signing_key_version  = "projects/${var.project_id}/secrets/${google_secret_manager_secret.signing_key.secret_id}/versions/latest"
  github_token_version = var.github_token ? "projects/${var.project_id}/secrets/${google_secret_manager_secret.github_token[0].secret_id}/versions/latest" : ""
}
