# Metrics for the dashboards, extracted from log records: functions and tasks log what they measure (`measured` in
# functions/epydrop/logs.py).
locals {
  _from_functions = "resource.type=\"cloud_run_revision\" resource.labels.service_name=(${join(" OR ", [for function in local.functions : "\"${function.name}\""])})"
  _from_tasks     = "logName=\"projects/${var.project_id}/logs/batch_task_logs\""

  metrics = {
    runs = {
      description = "Runs that entered a phase"
      filter      = "${local._from_functions} jsonPayload.phase:*"
      labels      = { phase = "EXTRACT(jsonPayload.phase)" }
    }
    repairs = {
      description = "Checks of the sweep that found unfinished work"
      filter      = "${local._from_functions} jsonPayload.repaired=true"
    }
    latency = {
      description = "Time from an event to the end of its effects"
      filter      = "${local._from_functions} jsonPayload.latency_seconds>=0"
      value       = "EXTRACT(jsonPayload.latency_seconds)"
      unit        = "s"
    }
    open_hours = {
      description = "Age of open runs, at each check"
      filter      = "${local._from_functions} jsonPayload.open_hours>=0"
      value       = "EXTRACT(jsonPayload.open_hours)"
      unit        = "h"
    }
    task_memory = {
      description = "Peak memory of a task"
      filter      = "${local._from_tasks} jsonPayload.peak_memory_mib>0"
      labels      = { stage = "EXTRACT(jsonPayload.stage)" }
      value       = "EXTRACT(jsonPayload.peak_memory_mib)"
      unit        = "MiBy"
    }
    task_time = {
      description = "Duration of a task"
      filter      = "${local._from_tasks} jsonPayload.wall_seconds>=0"
      labels      = { stage = "EXTRACT(jsonPayload.stage)" }
      value       = "EXTRACT(jsonPayload.wall_seconds)"
      unit        = "s"
    }
  }
}

resource "google_logging_metric" "metrics" {
  for_each         = local.metrics
  name             = "epydrop/${each.key}"
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = try(each.value.labels, null)
  value_extractor  = try(each.value.value, null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = try(each.value.labels, {})
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? ["from milliseconds to days, from megabytes to terabytes"] : []
    content {
      exponential_buckets {
        num_finite_buckets = 64
        growth_factor      = 1.4
        scale              = 0.01
      }
    }
  }

  depends_on = [google_project_service.services]
}
