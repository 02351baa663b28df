# These alerts match single log records, so they can name the run. An alert on a metric could not be created in the same
# apply: a new metric becomes usable ten minutes later (hashicorp/terraform-provider-google issue 11102).
locals {
  record_alerts = {
    failed_run = {
      name   = "epydrop: a run failed"
      filter = "${local._from_functions} jsonPayload.phase=\"failed\""
      period = "300s"
      advice = "The reply beside the dropped file gives the reason, and the document `runs/RUN_ID` in the Firestore database epydrop the details. A retry computes only what is missing: `gcloud pubsub topics publish epydrop-kicks --project ${var.project_id} --message '{\"retry\": \"RUN_ID\"}'`."
    }
    open_run = {
      name   = "epydrop: a run is open for more than ${var.open_run_hours} hours"
      filter = "${local._from_functions} jsonPayload.open_hours>=${var.open_run_hours}"
      period = "21600s"
      advice = "Look at its job (`gcloud batch jobs list --project ${var.project_id} --location ${var.region}`): a job that stays queued or scheduled lacks quota or machines. To end the run: `gcloud pubsub topics publish epydrop-kicks --project ${var.project_id} --message '{\"cancel\": \"RUN_ID\"}'`."
    }
  }

  _eventarc_subscriptions = "resource.type=\"pubsub_subscription\" resource.labels.subscription_id=monitoring.regex.full_match(\"eventarc-.*epydrop-.*\")"

  threshold_alerts = {
    function_errors = {
      name      = "epydrop: a function raises errors"
      filter    = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.labels.service_name=monitoring.regex.full_match(\"epydrop-.*\") metric.labels.response_code_class=\"5xx\""
      align     = "ALIGN_DELTA"
      by        = ["resource.labels.service_name"]
      threshold = 10
      duration  = "0s"
      advice    = "Each error is an event that is delivered again, for up to 24 hours. `epydrop doctor` finds configuration errors; the log has the others: `gcloud logging read 'resource.type=\"cloud_run_revision\" severity>=ERROR' --project ${var.project_id} --freshness 1h`."
    }
    redelivery = {
      name      = "epydrop: an event is delivered again and again"
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" ${local._eventarc_subscriptions}"
      align     = "ALIGN_MAX"
      by        = ["resource.labels.subscription_id"]
      threshold = 1800
      duration  = "600s"
      advice    = "The oldest event has not been processed for half an hour. `epydrop doctor` checks the functions."
    }
  }
}

resource "google_monitoring_alert_policy" "records" {
  for_each              = local.record_alerts
  display_name          = each.value.name
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.name
    condition_matched_log {
      filter = each.value.filter
      label_extractors = {
        exp_id = "EXTRACT(labels.exp_id)"
        run_id = "EXTRACT(labels.run_id)"
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = each.value.period
    }
  }
  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.services]
}

resource "google_monitoring_alert_policy" "thresholds" {
  for_each              = local.threshold_alerts
  display_name          = each.value.name
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.name
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period     = "900s"
        per_series_aligner   = each.value.align
        cross_series_reducer = each.value.align == "ALIGN_MAX" ? "REDUCE_MAX" : "REDUCE_SUM"
        group_by_fields      = each.value.by
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.services]
}

# Only the sweep recovers lost events. If it stops, nothing else fails visibly, so its silence is an alert.
resource "google_monitoring_alert_policy" "no_sweep" {
  display_name          = "epydrop: the sweep does not run"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = "epydrop-kick got no message for half an hour"
    condition_absent {
      filter   = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${local.functions["on_kick"].name}\""
      duration = "1800s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  documentation {
    content   = "The job epydrop-sweep of Cloud Scheduler is paused or fails: `gcloud scheduler jobs describe epydrop-sweep --project ${var.project_id} --location ${var.region}`."
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.services]
}
