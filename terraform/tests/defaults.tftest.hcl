# The plan with only project and region given.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
mock_provider "google-beta" {}

variables {
  project_id = "demo-project"
  region     = "us-central1"
}

run "defaults" {
  command = plan

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.event_trigger[0].retry_policy == "RETRY_POLICY_RETRY"])
    error_message = "Every function must be handed an event again after an error: that is what errors mean here."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "No function may be reached from the internet."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.functions : function.service_config[0].timeout_seconds <= 540])
    error_message = "A function must end before its event is taken for lost (600 seconds)."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["on_object_finalized"].event_trigger[0].trigger_region == lower(google_storage_bucket.trigger.location)
    error_message = "A trigger must be in the region of its bucket."
  }
  assert {
    condition     = google_firestore_database.runs.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The runs must be protected from deletion."
  }
  assert {
    condition     = alltrue([for collection in ["runs", "history"] : length(google_firestore_field.overrides["${collection} expires_at"].ttl_config) == 1])
    error_message = "Runs and their histories must expire."
  }
  assert {
    condition = alltrue([
      for bucket in [google_storage_bucket.trigger, google_storage_bucket.data[0], google_storage_bucket.source] :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "No bucket may be made public, not even object by object."
  }
  assert {
    condition     = google_storage_bucket.trigger.versioning[0].enabled
    error_message = "A dropped file must stay readable after it was dropped again."
  }
  assert {
    condition     = !google_storage_bucket.trigger.force_destroy && !google_storage_bucket.data[0].force_destroy
    error_message = "A destroy must not take data with it."
  }
  assert {
    condition     = google_compute_subnetwork.epydrop.private_ip_google_access
    error_message = "Machines without an address need another way to Google's services."
  }
  assert {
    condition     = base64decode(google_cloud_scheduler_job.sweep.pubsub_target[0].data) == "{\"sweep\":true}" && google_cloud_scheduler_job.sweep.schedule == "*/5 * * * *"
    error_message = "The sweep must be asked for every five minutes."
  }
  assert {
    condition     = length(google_secret_manager_secret.github_token) == 0 && length(google_billing_budget.epydrop) == 0
    error_message = "What was not asked for must not be made."
  }
  assert {
    condition     = length(google_monitoring_dashboard.dashboards) == 5
    error_message = "There must be a dashboard for each stage, for the whole system and for the orchestration."
  }
  assert {
    condition     = alltrue([for dashboard in google_monitoring_dashboard.dashboards : length(jsondecode(dashboard.dashboard_json).mosaicLayout.tiles) >= 6])
    error_message = "A dashboard has lost its charts."
  }
}

run "nothing_is_called_otherwise" {
  command = plan

  assert {
    condition = alltrue([
      for name in concat(
        [for account in google_service_account.functions : account.account_id],
        [for function in google_cloudfunctions2_function.functions : function.name],
        [for metric in google_logging_metric.metrics : metric.name],
        [
          google_artifact_registry_repository.functions.repository_id, google_artifact_registry_repository.stage.repository_id,
          google_cloud_scheduler_job.sweep.name, google_compute_network.epydrop.name, google_compute_subnetwork.epydrop.name,
          google_firestore_database.runs.name, google_pubsub_topic.batch.name, google_pubsub_topic.kicks.name,
          google_pubsub_topic.runs.name, google_secret_manager_secret.signing_key.secret_id,
          google_service_account.batch.account_id, google_service_account.build.account_id,
          google_storage_bucket.data[0].name, google_storage_bucket.source.name, google_storage_bucket.trigger.name,
        ],
      ) : startswith(name, "epydrop")
    ])
    error_message = "Every name must begin with epydrop."
  }
}
