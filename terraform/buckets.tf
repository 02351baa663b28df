# The bucket for dropped files and for replies. Versioned, because a run reads the exact generation that was dropped,
# even if the file was replaced since.
resource "google_storage_bucket" "trigger" {
  name                        = local.trigger_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
    }
  }
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  depends_on = [google_project_service.services]
}

# The functions read dropped files and list them in their hourly check; they write only replies.
resource "google_storage_bucket_iam_member" "functions_read_drops" {
  for_each = local.functions
  bucket   = google_storage_bucket.trigger.name
  role     = "roles/storage.objectViewer"
  member   = google_service_account.functions[each.key].member
}

resource "google_storage_bucket_iam_member" "functions_write_replies" {
  for_each = local.functions
  bucket   = google_storage_bucket.trigger.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.functions[each.key].member

  condition {
    title      = "only ${local.replies_prefix}"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.trigger_bucket}/objects/${local.replies_prefix}\")"
  }
}

resource "google_storage_bucket_iam_member" "users_read_replies" {
  for_each = var.users
  bucket   = google_storage_bucket.trigger.name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

resource "google_storage_bucket_iam_member" "users_drop" {
  for_each = var.users
  bucket   = google_storage_bucket.trigger.name
  role     = "roles/storage.objectUser"
  member   = each.value

  condition {
    title = "only ${local.experiments_prefix} and ${local.kicks_prefix}"
    expression = join(" || ", [
      for prefix in [local.experiments_prefix, local.kicks_prefix] :
      "resource.name.startsWith(\"projects/_/buckets/${local.trigger_bucket}/objects/${prefix}\")"
    ])
  }
}

# The bucket of the runs, unless var.data_bucket names an existing one.
resource "google_storage_bucket" "data" {
  count                       = var.data_bucket == null ? 1 : 0
  name                        = local.data_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  dynamic "lifecycle_rule" {
    for_each = var.artifact_retention_days == null ? [] : [var.artifact_retention_days]
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = var.data_prefix == "" ? null : [var.data_prefix]
        matches_suffix = [".pkl.zst"]
      }
    }
  }
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  depends_on = [google_project_service.services]
}

locals {
  # The condition names the bucket, too, because listing is checked on the bucket and everything else on the objects.
  _data_bucket_resource = "projects/_/buckets/${local.data_bucket}"
  _only_runs = {
    title      = "only the runs"
    expression = "resource.name == \"${local._data_bucket_resource}\" || resource.name.startsWith(\"${local._data_bucket_resource}/objects/${var.data_prefix}\")"
  }
}

resource "google_storage_bucket_iam_member" "runs" {
  for_each = merge(
    { for name, account in google_service_account.functions : name => account.member },
    { batch = google_service_account.batch.member },
  )
  bucket = try(google_storage_bucket.data[0].name, local.data_bucket)
  role   = "roles/storage.objectUser"
  member = each.value

  condition {
    title      = local._only_runs.title
    expression = local._only_runs.expression
  }
}

resource "google_storage_bucket_iam_member" "users_read_runs" {
  for_each = var.users
  bucket   = try(google_storage_bucket.data[0].name, local.data_bucket)
  role     = "roles/storage.objectViewer"
  member   = each.value

  condition {
    title      = local._only_runs.title
    expression = local._only_runs.expression
  }
}

# Sources of builds: the functions' archives, and what `epydrop build cloud` uploads.
resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_78:an archive's name contains the hash of its content, so no name ever has a second version
  name                        = local.source_bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # everything in it can be rebuilt

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["build/"]
    }
  }

  depends_on = [google_project_service.services]
}

resource "google_storage_bucket_iam_member" "build_reads_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}
