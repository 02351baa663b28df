# The plan with each variable set to something other than its default.

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

run "an_existing_bucket_is_used_and_not_made" {
  command = plan
  variables {
    data_bucket = "forecasts"
    data_prefix = "pipeline/flu/"
  }

  assert {
    condition     = length(google_storage_bucket.data) == 0
    error_message = "The bucket is there already."
  }
  assert {
    condition     = output.runs_url == "gs://forecasts/pipeline/flu/"
    error_message = "The runs must lie in the folder that was named."
  }
  assert {
    condition = alltrue([
      for grant in google_storage_bucket_iam_member.runs :
      grant.bucket == "forecasts" && strcontains(grant.condition[0].expression, "projects/_/buckets/forecasts/objects/pipeline/flu/")
    ])
    error_message = "In a bucket that others use too, nothing outside the folder may be touched."
  }
}

run "users_may_drop_and_read_and_kick" {
  command = plan
  variables {
    users = ["group:modellers@example.org"]
  }

  assert {
    condition     = keys(google_storage_bucket_iam_member.users_drop) == ["group:modellers@example.org"]
    error_message = "Users must be able to drop files."
  }
  assert {
    condition     = !strcontains(google_storage_bucket_iam_member.users_drop["group:modellers@example.org"].condition[0].expression, "replies/")
    error_message = "Nobody but the functions writes replies."
  }
  assert {
    condition     = google_storage_bucket_iam_member.users_read_runs["group:modellers@example.org"].role == "roles/storage.objectViewer"
    error_message = "Users read runs, and do not change them."
  }
  assert {
    condition     = google_project_iam_member.users_see_runs["group:modellers@example.org"].role == "roles/datastore.viewer" && google_project_iam_member.users_see_jobs["group:modellers@example.org"].role == "roles/batch.jobsViewer"
    error_message = "Users must be able to follow the links of a reply."
  }
}

run "a_token_is_read_by_the_builder_and_by_cloud_build" {
  command = plan
  variables {
    github_token = true
  }

  assert {
    condition     = google_cloudfunctions2_function.functions["on_kick"].service_config[0].environment_variables["EPYDROP_GITHUB_PAT_SECRET"] == "projects/demo-project/secrets/epydrop-github-token/versions/latest"
    error_message = "The functions must tell the builder where the token is."
  }
  assert {
    condition     = length(google_secret_manager_secret_iam_member.github_token_readers) == 2
    error_message = "The token is read by the tasks and by the build, and by nobody else."
  }
}

run "an_older_image_can_be_deployed" {
  command = plan
  variables {
    image = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
  }

  assert {
    condition     = output.image == "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    error_message = "The image that was named must be the one that is deployed."
  }
}

run "a_budget_counts_only_what_is_ours" {
  command = plan
  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 500 }
  }

  assert {
    condition     = google_billing_budget.epydrop[0].budget_filter[0].labels["component"] == "epydrop"
    error_message = "Others in the project have their own budgets."
  }
}

run "without_nat_there_is_no_way_out" {
  command = plan
  variables {
    network = { nat = false }
  }

  assert {
    condition     = length(google_compute_router_nat.epydrop) == 0 && length(google_compute_router.epydrop) == 0
    error_message = "NAT was not wanted."
  }
}

run "sizes_of_one_function_leave_the_others_alone" {
  command = plan
  variables {
    functions = { on_kick = { memory = "1Gi" } }
  }

  assert {
    condition     = google_cloudfunctions2_function.functions["on_kick"].service_config[0].available_memory == "1Gi"
    error_message = "The size that was given must be used."
  }
  assert {
    condition     = google_cloudfunctions2_function.functions["on_object_finalized"].service_config[0].available_memory == "512Mi"
    error_message = "The others must keep their sizes."
  }
}

run "protection_can_be_lifted_before_a_destroy" {
  command = plan
  variables {
    deletion_protection = false
  }

  assert {
    condition     = google_firestore_database.runs.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_storage_bucket.trigger.force_destroy
    error_message = "Without protection a destroy must go through."
  }
}

run "wrong_values_are_refused" {
  command = plan
  variables {
    accept_from           = "yesterday"
    budget                = { billing_account = "mine", amount = 0 }
    data_bucket           = "gs://forecasts/"
    data_prefix           = "no-slash"
    environment           = "Production!"
    functions             = { on_drop = {} }
    image                 = "stage:latest"
    network               = { cidr = "10.0.0.0/30" }
    notification_channels = ["me@example.org"]
    open_run_hours        = 0
    project_id            = "My Project"
    region                = "us-central1-a"
    users                 = ["me@example.org"]
  }

  expect_failures = [
    var.accept_from,
    var.budget,
    var.data_bucket,
    var.data_prefix,
    var.environment,
    var.functions,
    var.image,
    var.network,
    var.notification_channels,
    var.open_run_hours,
    var.project_id,
    var.region,
    var.users,
  ]
}

run "a_retention_shorter_than_a_run_is_refused" {
  command = plan
  variables {
    artifact_retention_days = 7
  }

  expect_failures = [var.artifact_retention_days]
}

run "a_retention_that_nobody_would_keep_is_refused" {
  command = plan
  variables {
    artifact_retention_days = 180
    data_bucket             = "forecasts"
  }

  expect_failures = [var.artifact_retention_days]
}
