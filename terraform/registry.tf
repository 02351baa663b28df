# The stage image. A run is bound to one digest from its first attempt to its last, so digests in use must stay:
# the newest ten, the released one, and all of the last 180 days. A run waits and computes for at most 16 days an
# attempt (Batch: 2 in the queue, 14 at work), three stages of three attempts each: 144 days.
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

# Cloud Build gives the tag `release` to the image it has tested; its digest is read here, and nothing but digests
# is ever run. Before the first build there is none: functions then refuse events, and get them again.
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

# What the functions are made of, built by Google from the source archive. Each service keeps its last revisions.
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
