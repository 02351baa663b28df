# The state bucket is given at init, so that one checkout can manage several deployments:
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

# google-beta only for google_project_service_identity, which creates Google's service agents.
provider "google-beta" {
  project        = var.project_id
  region         = var.region
  default_labels = local.labels
}

# Budgets belong to the billing account, not to a project. With a person's credentials, the API requires the project
# whose quota a request uses.
provider "google" {
  alias                 = "billing"
  project               = var.project_id
  billing_project       = var.project_id
  user_project_override = true
}
