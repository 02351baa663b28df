# Names that several files use. A test compares those that the functions use, too, with the code.

locals {
  labels = merge(var.labels, {
    component   = "epydrop"
    environment = var.environment
    managed-by  = "terraform"
  })

  # Prefixes in the trigger bucket, as in functions/epydrop/formats/names.py.
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
