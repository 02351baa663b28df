# The stage image. A run uses one digest from its first attempt to its last, so the cleanup keeps the newest ten, the
# released one, and all of the last 180 days. A run can take 144 days: three stages, three attempts each, and Batch
# lets an attempt queue for 2 days and run for 14.
resource "google_artifact_registry_repository" "stage" {
  repository_id          = "epydrop"
  location               = var.region
  format                 = "DOCKER"
  description            = "The image that the stages run in"
  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "keep-released"
    action = "KEEP"
    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["release"]
    }
  }
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      package_name_prefixes = [local.image_name]
      keep_count            = 10
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      tag_state             = "ANY"
      package_name_prefixes = [local.image_name]
      older_than            = "15552000s"
    }
  }
  cleanup_policies {
    id     = "delete-cache"
    action = "DELETE"
    condition {
      tag_state             = "ANY"
      package_name_prefixes = ["cache"]
      older_than            = "1209600s"
    }
  }

  depends_on = [google_project_service.services]
}

resource "google_artifact_registry_repository_iam_member" "batch_pulls" {
  repository = google_artifact_registry_repository.stage.repository_id
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.batch.member
}

resource "google_artifact_registry_repository_iam_member" "build_pushes" {
  repository = google_artifact_registry_repository.stage.repository_id
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

# Cloud Build tags the tested image `release`. Terraform resolves the tag to a digest, because jobs run digests only: a
# tag could move during a run. Before the first build there is no image; the functions then fail events, which Eventarc
# delivers again later.
data "google_artifact_registry_docker_images" "stage" {
  location      = var.region
  repository_id = "epydrop"
  depends_on    = [google_artifact_registry_repository.stage]
}

locals {
  _released = [
    for image in data.google_artifact_registry_docker_images.stage.docker_images : split("@", image.name)[1]
    if image.image_name == local.image_name && contains(coalesce(image.tags, []), "release")
  ]
  image_digest = var.image != null ? var.image : try(local._released[0], "")
}

# The images of the functions, built by Cloud Functions from the source archive. Services keep few old
# revisions, so old images are deleted.
resource "google_artifact_registry_repository" "functions" {
  repository_id          = "epydrop-functions"
  location               = var.region
  format                 = "DOCKER"
  description            = "The images of the functions"
  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.services]
}

resource "google_artifact_registry_repository_iam_member" "build_pushes_functions" {
  repository = google_artifact_registry_repository.functions.repository_id
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}
