# The state of the runs. The documents and the queries are defined in functions/epydrop/gcp.
resource "google_firestore_database" "runs" {
  name                    = "epydrop"
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  concurrency_mode        = "OPTIMISTIC"
  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = "DELETE" # by default a destroy leaves the database behind, and the next apply fails
  depends_on              = [google_project_service.services]
}

locals {
  # The indexes are read from the file beside the queries (in the format of Firebase's tools), so they cannot diverge.
  _indexes = jsondecode(file("${path.module}/../functions/epydrop/gcp/indexes.json"))
}

resource "google_firestore_index" "queries" {
  for_each = {
    for index in local._indexes.indexes :
    join(" ", concat([index.collectionGroup], [for field in index.fields : field.fieldPath])) => index
  }
  database    = google_firestore_database.runs.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# Fields without queries are exempt from indexing, which costs writes. Firestore deletes documents of settled runs after
# the time in their TTL field.
resource "google_firestore_field" "overrides" {
  for_each   = { for field in local._indexes.fieldOverrides : "${field.collectionGroup} ${field.fieldPath}" => field }
  database   = google_firestore_database.runs.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? ["expires"] : []
    content {}
  }
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order = indexes.value.order
      }
    }
  }
}

# Firestore has no IAM policy on a database; a condition in the project's policy restricts the role to this one.
locals {
  _only_runs_database = {
    title      = "only database epydrop"
    expression = "resource.name == \"projects/${var.project_id}/databases/epydrop\""
  }
}

resource "google_project_iam_member" "functions_keep_runs" {
  for_each = local.functions
  project  = var.project_id
  role     = "roles/datastore.user"
  member   = google_service_account.functions[each.key].member

  condition {
    title      = local._only_runs_database.title
    expression = local._only_runs_database.expression
  }
}

# For the pages that the links of a reply open.
resource "google_project_iam_member" "users_see_runs" {
  for_each = var.users
  project  = var.project_id
  role     = "roles/datastore.viewer"
  member   = each.value

  condition {
    title      = local._only_runs_database.title
    expression = local._only_runs_database.expression
  }
}
