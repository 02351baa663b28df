# No value of a secret ever passes through terraform, so none stands in a plan or in the state. `epydrop deploy key`
# makes the signing key, and a new one beside the old ones when it is to be changed; docs/deploy.md has the same
# without the command.
resource "google_secret_manager_secret" "signing_key" {
  secret_id           = "epydrop-signing-key"
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }

  depends_on = [google_project_service.services]
}

# Only tasks sign and verify; the functions pass on where the key is.
resource "google_secret_manager_secret_iam_member" "batch_signs" {
  secret_id = google_secret_manager_secret.signing_key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.batch.member
}

# For forecast repositories and a modelling suite that are private.
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
  # By name, not by number: a changed key reaches the next job without an apply, and every version holds the old keys.
  signing_key_version  = "projects/${var.project_id}/secrets/${google_secret_manager_secret.signing_key.secret_id}/versions/latest"
  github_token_version = var.github_token ? "projects/${var.project_id}/secrets/${google_secret_manager_secret.github_token[0].secret_id}/versions/latest" : ""
}
