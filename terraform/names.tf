# The names that more than one file uses. Those that the functions know too are compared by a test.

locals {
  labels = merge(var.labels, {
    component   = "epydrop"
    environment = var.environment
    managed-by  = "terraform"
  })

  # The functions and the stages: what lies under which prefix of the trigger bucket (functions/epydrop/formats/names.py).
  experiments_prefix = "experiments/"
  kicks_prefix       = "kicks/"
  replies_prefix     = "replies/"

  trigger_bucket = "epydrop-trigger-${var.project_id}"
  source_bucket  = "epydrop-source-${var.project_id}"
  data_bucket    = coalesce(var.data_bucket, "epydrop-data-${var.project_id}")
  data_url       = "gs://${local.data_bucket}/${var.data_prefix}"

  image_name       = "stage"
  image_repository = "${var.region}-docker.pkg.dev/${var.project_id}/epydrop/${local.image_name}"
}
