# The machines have no public addresses. They reach Google's APIs by Private Google Access and everything else by NAT.
resource "google_compute_network" "epydrop" {
  name                    = "epydrop"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.services]
}

resource "google_compute_subnetwork" "epydrop" {
  name                     = "epydrop"
  region                   = var.region
  network                  = google_compute_network.epydrop.id
  ip_cidr_range            = var.network.cidr
  private_ip_google_access = true
}

resource "google_compute_router" "epydrop" {
  count   = var.network.nat ? 1 : 0
  name    = "epydrop"
  region  = var.region
  network = google_compute_network.epydrop.id
}

resource "google_compute_router_nat" "epydrop" {
  count                              = var.network.nat ? 1 : 0
  name                               = "epydrop"
  region                             = var.region
  router                             = google_compute_router.epydrop[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.epydrop.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }
  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
