variable "accept_from" {
  description = "Files dropped before this time (RFC 3339) never start a run. By default the time of the first apply."
  type        = string
  default     = null

  validation {
    condition     = var.accept_from == null || can(timeadd(var.accept_from, "0s"))
    error_message = "accept_from must be a time such as 2026-11-22T00:00:00Z."
  }
}

variable "artifact_retention_days" {
  description = "Days after which inputs and results of tasks (*.pkl.zst) are deleted; null keeps them."
  type        = number
  default     = null

  validation {
    condition     = var.artifact_retention_days == null || try(var.artifact_retention_days >= 30, false)
    error_message = "artifact_retention_days must be at least 30: a run may live for weeks, and a retry needs its results."
  }
  validation {
    condition     = var.artifact_retention_days == null || var.data_bucket == null
    error_message = "artifact_retention_days is for a bucket that is made here; give data_bucket a lifecycle rule of its own."
  }
}

variable "budget" {
  description = "A monthly budget for resources with the label component=epydrop, with alerts at 50, 90 and 100 percent."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string)
  })
  default = null

  validation {
    condition     = var.budget == null || try(can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount > 0, false)
    error_message = "budget needs a billing account such as 012345-6789AB-CDEF01 and an amount above 0."
  }
}

variable "data_bucket" {
  description = "An existing bucket for the runs, with uniform access, in this project or in one that the deployer administers. By default a new one is created."
  type        = string
  default     = null

  validation {
    condition     = var.data_bucket == null || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.data_bucket))
    error_message = "data_bucket must be the name of a bucket, without gs:// and without a slash."
  }
}

variable "data_prefix" {
  description = "The folder in the data bucket that holds the runs."
  type        = string
  default     = "runs/"
  nullable    = false

  validation {
    condition     = var.data_prefix == "" || can(regex("^([A-Za-z0-9][A-Za-z0-9._-]*/)+$", var.data_prefix))
    error_message = "data_prefix must be empty or end in a slash, such as pipeline/flu/."
  }
}

variable "deletion_protection" {
  description = "Whether database, buckets and secrets are protected from destroy. To destroy, set it to false and apply first."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "The name of this deployment, for example production or staging; a label on all resources."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9_-]{0,62}$", var.environment))
    error_message = "environment must be a label: lower case, at most 63 letters, digits, dashes and underscores."
  }
}

variable "functions" {
  description = "Sizes of the functions, by entry point. Omitted values keep their defaults."
  type = map(object({
    memory        = optional(string, "512Mi")
    cpu           = optional(string, "1")
    timeout       = optional(number, 300)
    max_instances = optional(number, 20)
    min_instances = optional(number, 0)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.functions) : contains(["on_object_finalized", "on_job_state_changed", "on_kick"], name)])
    error_message = "functions knows on_object_finalized, on_job_state_changed and on_kick."
  }
  validation {
    condition     = alltrue([for function in var.functions : function.timeout >= 120 && function.timeout <= 540])
    error_message = "timeout must be 120 to 540 seconds: a function reads a lagging job for up to 60 s, and an event must be acknowledged within 600."
  }
}

variable "github_token" {
  description = "Whether to create the secret epydrop-github-token, which the builder stage and Cloud Build read."
  type        = bool
  default     = false
  nullable    = false
}

variable "image" {
  description = "The digest of the stage image, to roll back to an older one. By default the newest that Cloud Build released."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must be a digest: sha256: and 64 hexadecimal digits."
  }
}

variable "labels" {
  description = "More labels for all resources, in addition to component, environment and managed-by."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "network" {
  description = "The network of the machines. Without NAT, tasks cannot reach the internet, nor clone forecast repositories."
  type = object({
    cidr = optional(string, "10.64.0.0/18")
    nat  = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(tonumber(split("/", var.network.cidr)[1]) <= 24, false)
    error_message = "network.cidr must be an IPv4 range of at least 256 addresses, such as 10.64.0.0/18: each machine takes one."
  }
}

variable "notification_channels" {
  description = "Cloud Monitoring channels (projects/P/notificationChannels/N) that alerts are sent to."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "Each notification channel must be a full name: projects/PROJECT/notificationChannels/NUMBER."
  }
}

variable "open_run_hours" {
  description = "Hours after which an open run raises an alert."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.open_run_hours > 0
    error_message = "open_run_hours must be above 0."
  }
}

variable "project_id" {
  description = "The Google Cloud project. A project can hold one deployment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of a project (6 to 30 lower case letters, digits and dashes), not its name or number."
  }
}

variable "region" {
  description = "The region of all resources, machines and data included: traffic between regions costs time and money."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as us-central1, not a zone or a multi-region."
  }
}

variable "users" {
  description = "Members who may drop experiments, send kicks and read runs, such as group:modellers@example.org. Owners of the project always may."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for user in var.users : can(regex("^(user|group|domain|serviceAccount):.+$", user))])
    error_message = "Each of users must say what it is: user:, group:, domain: or serviceAccount:, then a name."
  }
}
