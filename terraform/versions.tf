# The state lies in a bucket that is named when terraform starts, so that no name stands here:
#   terraform init -backend-config=bucket=BUCKET -backend-config=prefix=epydrop
terraform {
  required_version = ">= 1.9"
  backend "gcs" {}

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7"
    }
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 6.50"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13"
    }
  }
}

provider "google" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}

# Only for the identities of Google's own agents, which the other provider cannot create.
provider "google-beta" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}

# Budgets belong to the billing account; with a person's credentials Google wants to know whose quota a request uses.
provider "google" {
  alias                 = "billing"
  project               = var.project_id
  billing_project       = var.project_id
  user_project_override = true
}
