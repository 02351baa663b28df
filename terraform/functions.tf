locals {
  # The entry points of functions/main.py, with the topic of their events; those without one get the trigger bucket's.
  _entry_points = {
    on_object_finalized  = null
    on_job_state_changed = "projects/${var.project_id}/topics/${google_pubsub_topic.batch.name}"
    on_kick              = "projects/${var.project_id}/topics/${google_pubsub_topic.kicks.name}"
  }

  functions = {
    for entry_point, sizes in merge({ for name in keys(local._entry_points) : name => {} }, var.functions) : entry_point => {
      name          = "epydrop-${trimprefix(replace(entry_point, "_", "-"), "on-")}"
      memory        = try(sizes.memory, "512Mi")
      cpu           = try(sizes.cpu, "1")
      timeout       = try(sizes.timeout, 300)
      max_instances = try(sizes.max_instances, 20)
      min_instances = try(sizes.min_instances, 0)
    }
  }

  # Environment variables of the functions, read by functions/epydrop/settings.py.
  environment_variables = {
    EPYDROP_ACCEPT_FROM           = coalesce(var.accept_from, time_static.first_apply.rfc3339)
    EPYDROP_BATCH_SERVICE_ACCOUNT = google_service_account.batch.email
    EPYDROP_BATCH_TOPIC           = local._entry_points["on_job_state_changed"]
    EPYDROP_DATABASE              = google_firestore_database.runs.name
    EPYDROP_DATA_URL              = local.data_url
    EPYDROP_ENVIRONMENT           = var.environment
    EPYDROP_GITHUB_PAT_SECRET     = local.github_token_version
    EPYDROP_IMAGE                 = local.image_digest
    EPYDROP_IMAGE_REPOSITORY      = local.image_repository
    EPYDROP_KICK_TOPIC            = local._entry_points["on_kick"]
    EPYDROP_NETWORK               = "projects/${var.project_id}/global/networks/${google_compute_network.epydrop.name}"
    EPYDROP_PROJECT               = var.project_id
    EPYDROP_REGION                = var.region
    EPYDROP_RUNS_TOPIC            = "projects/${var.project_id}/topics/${google_pubsub_topic.runs.name}"
    EPYDROP_SIGNING_KEY_SECRET    = local.signing_key_version
    EPYDROP_SUBNETWORK            = "projects/${var.project_id}/regions/${var.region}/subnetworks/${google_compute_subnetwork.epydrop.name}"
    EPYDROP_TRIGGER_BUCKET        = local.trigger_bucket
  }
}

# Files that were dropped before the first apply start no run.
resource "time_static" "first_apply" {}

data "archive_file" "functions" {
  type             = "zip"
  source_dir       = "${path.module}/../functions"
  output_path      = "${path.module}/.terraform/functions.zip"
  output_file_mode = "0644" # a fixed mode, so that the archive has the same hash on every machine
  excludes         = ["**/__pycache__/**"]
}

# The name contains the hash of the code: only an object with a new name makes Cloud Functions build again.
resource "google_storage_bucket_object" "functions" {
  name   = "functions/${data.archive_file.functions.output_sha256}.zip"
  bucket = google_storage_bucket.source.name
  source = data.archive_file.functions.output_path
}

resource "google_service_account" "functions" {
  for_each     = local.functions
  account_id   = each.value.name
  display_name = "epydrop: ${each.key}"
  depends_on   = [google_project_service.services]
}

# On the project: Batch jobs have no IAM policies, and eventarc.eventReceiver can only be granted on the project.
resource "google_project_iam_member" "functions" {
  for_each = {
    for pair in setproduct(keys(local.functions), ["roles/batch.jobsEditor", "roles/eventarc.eventReceiver"]) :
    "${pair[0]} ${pair[1]}" => { function = pair[0], role = pair[1] }
  }
  project = var.project_id
  role    = each.value.role
  member  = google_service_account.functions[each.value.function].member
}

resource "google_cloudfunctions2_function" "functions" {
  for_each    = local.functions
  name        = each.value.name
  location    = var.region
  description = "functions/main.py: ${each.key}"

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.functions.id
    source {
      storage_source {
        bucket = google_storage_bucket_object.functions.bucket
        object = google_storage_bucket_object.functions.name
      }
    }
  }

  service_config {
    service_account_email          = google_service_account.functions[each.key].email
    environment_variables          = local.environment_variables
    available_memory               = each.value.memory
    available_cpu                  = each.value.cpu
    timeout_seconds                = each.value.timeout
    max_instance_count             = each.value.max_instances
    min_instance_count             = each.value.min_instances
    ingress_settings               = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision = true
  }

  event_trigger {
    event_type            = local._entry_points[each.key] == null ? "google.cloud.storage.object.v1.finalized" : "google.cloud.pubsub.topic.v1.messagePublished"
    trigger_region        = var.region
    pubsub_topic          = local._entry_points[each.key]
    service_account_email = google_service_account.functions[each.key].email
    retry_policy          = "RETRY_POLICY_RETRY"

    dynamic "event_filters" {
      for_each = local._entry_points[each.key] == null ? [google_storage_bucket.trigger.name] : []
      content {
        attribute = "bucket"
        value     = event_filters.value
      }
    }
  }

  # Needed by the build and by the first event; without these, the first apply could create the function too early.
  depends_on = [
    google_firestore_index.queries,
    google_project_iam_member.functions,
    google_project_iam_member.functions_keep_runs,
    google_storage_bucket_iam_member.functions_read_drops,
    google_storage_bucket_iam_member.functions_write_replies,
    google_storage_bucket_iam_member.runs,
    time_sleep.roles,
  ]
}

# Eventarc calls the Cloud Run service behind a function with the function's own account.
resource "google_cloud_run_service_iam_member" "events_invoke_functions" {
  for_each = local.functions
  service  = google_cloudfunctions2_function.functions[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.functions[each.key].member
}
