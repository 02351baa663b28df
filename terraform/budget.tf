resource "google_billing_budget" "epydrop" {
  count           = var.budget == null ? 0 : 1
  provider        = google.billing
  billing_account = var.budget.billing_account
  display_name    = "epydrop in ${var.project_id}"

  budget_filter {
    projects = ["projects/${data.google_project.project.number}"]
    labels   = { component = "epydrop" }
  }
  amount {
    specified_amount {
      units         = floor(var.budget.amount)
      currency_code = var.budget.currency
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  dynamic "all_updates_rule" {
    for_each = length(var.notification_channels) == 0 ? [] : [var.notification_channels]
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }

  depends_on = [google_project_service.services]
}
