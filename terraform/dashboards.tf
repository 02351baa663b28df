# Machines are selected by the labels that they inherit from their job: component, stage, exp_id and the others of
# functions/epydrop/formats/names.py. Memory is measured by the tasks, because Google's metrics of a machine do not
# include it unless an agent runs there.
locals {
  stages    = toset(["builder", "runner", "output"])
  _machines = "resource.type=\"gce_instance\" metadata.user_labels.component=\"epydrop\""
  _services = "resource.type=\"cloud_run_revision\" resource.labels.service_name=monitoring.regex.full_match(\"epydrop-.*\")"

  # One stage, or all stages side by side.
  _scopes = merge(
    { for stage in local.stages : stage => {
      machines = "${local._machines} metadata.user_labels.stage=\"${stage}\""
      tasks    = " metric.labels.stage=\"${stage}\""
      by       = { machines = "metadata.user_labels.exp_id", tasks = "metric.labels.stage" }
    } },
    { system = {
      machines = local._machines
      tasks    = ""
      by       = { machines = "metadata.user_labels.stage", tasks = "metric.labels.stage" }
    } },
  )

  _computing = { for scope, only in local._scopes : scope => [
    {
      title  = "Machines at work"
      filter = "metric.type=\"compute.googleapis.com/instance/cpu/utilization\" ${only.machines}"
      align  = "ALIGN_MEAN", reduce = "REDUCE_COUNT", by = [only.by.machines], unit = "machines"
    },
    {
      title  = "vCPUs kept busy"
      filter = "metric.type=\"compute.googleapis.com/instance/cpu/usage_time\" ${only.machines}"
      align  = "ALIGN_RATE", reduce = "REDUCE_SUM", by = [only.by.machines], unit = "vCPU"
    },
    {
      title  = "CPU utilization, mean of the machines"
      filter = "metric.type=\"compute.googleapis.com/instance/cpu/utilization\" ${only.machines}"
      align  = "ALIGN_MEAN", reduce = "REDUCE_MEAN", by = [only.by.machines], unit = "part of 1"
    },
    {
      title  = "CPU utilization, the idlest machine"
      filter = "metric.type=\"compute.googleapis.com/instance/cpu/utilization\" ${only.machines}"
      align  = "ALIGN_MEAN", reduce = "REDUCE_MIN", by = [only.by.machines], unit = "part of 1"
    },
    {
      title  = "Memory that tasks held at most, 95th percentile"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/task_memory\"${only.tasks}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = [only.by.tasks], unit = "MiB"
    },
    {
      title  = "Time that tasks took, 95th percentile"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/task_time\"${only.tasks}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = [only.by.tasks], unit = "s"
    },
  ] }

  _orchestration = [
    {
      title  = "Runs that entered a phase"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/runs\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["metric.labels.phase"], unit = "runs"
    },
    {
      title  = "From an event to the end of what followed, 95th percentile"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/latency\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["resource.labels.service_name"], unit = "s"
    },
    {
      title  = "Repairs by the sweep"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/repairs\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = [], unit = "repairs"
    },
    {
      title  = "The run that is open for longest"
      filter = "metric.type=\"logging.googleapis.com/user/epydrop/open_hours\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_99", by = [], unit = "h"
    },
    {
      title  = "Errors of functions"
      filter = "metric.type=\"run.googleapis.com/request_count\" ${local._services} metric.labels.response_code_class=\"5xx\""
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["resource.labels.service_name"], unit = "errors"
    },
    {
      title  = "Events handled"
      filter = "metric.type=\"run.googleapis.com/request_count\" ${local._services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = ["resource.labels.service_name"], unit = "events"
    },
    {
      title  = "Time to handle an event, 95th percentile"
      filter = "metric.type=\"run.googleapis.com/request_latencies\" ${local._services}"
      align  = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_95", by = ["resource.labels.service_name"], unit = "ms"
    },
    {
      title  = "Age of the oldest event not yet taken"
      filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" ${local._eventarc_subscriptions}"
      align  = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.labels.subscription_id"], unit = "s"
    },
  ]

  dashboards = merge(
    { for stage in local.stages : stage => { name = "epydrop: ${stage}", charts = local._computing[stage] } },
    { system = { name = "epydrop: the whole system", charts = local._computing["system"] } },
    { orchestration = { name = "epydrop: orchestration", charts = local._orchestration } },
  )
}

resource "google_monitoring_dashboard" "dashboards" {
  for_each = local.dashboards

  dashboard_json = jsonencode({
    displayName = each.value.name
    mosaicLayout = {
      columns = 48
      tiles = [for place, chart in each.value.charts : merge(
        # Omitted if 0: the API does not return zeros, and terraform would plan a change each time.
        { for axis, position in { xPos = place % 2 * 24, yPos = floor(place / 2) * 16 } : axis => position if position > 0 },
        {
          width  = 24
          height = 16
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType   = "LINE"
                targetAxis = "Y1"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.align
                      crossSeriesReducer = chart.reduce
                      groupByFields      = chart.by
                    }
                  }
                }
              }]
              yAxis = {
                label = chart.unit
                scale = "LINEAR"
              }
            }
          }
        }
      )]
    }
  })

  depends_on = [google_logging_metric.metrics]
}
