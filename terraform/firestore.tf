# The state of the runs. What a run is made of, and what is queried, is the code's business.
resource "google_firestore_database" "runs" {
  name                    = "epydrop"
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  concurrency_mode        = "OPTIMISTIC"
  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = "DELETE" # else it outlives a destroy, and the next apply finds it in its way
  depends_on              = [google_project_service.services]
}

locals {
  # The code lists its indexes beside its queries, in the form of Firebase's tools, so the two cannot disagree.
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

# Fields that nobody queries cost no index. Documents of settled runs carry the time after which Firestore deletes them.
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

# Firestore has no policy of its own on a database; a condition on the project's policy does the same.
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

# What the links of a reply show.
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
