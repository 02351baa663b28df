"""The settings of a deployment in Google Cloud, all of them as terraform would set them."""

from __future__ import annotations

VARIABLES = {
    "EPYDROP_DATA_URL": "gs://data/epydrop/",
    "EPYDROP_TRIGGER_BUCKET": "drops",
    "EPYDROP_ENVIRONMENT": "production",
    "EPYDROP_IMAGE": "sha256:0",
    "EPYDROP_ACCEPT_FROM": "2026-11-22T12:00:00Z",
}
CLOUD = {
    **VARIABLES,
    "EPYDROP_IMAGE": f"sha256:{'0' * 64}",
    "EPYDROP_PROJECT": "p",
    "EPYDROP_REGION": "us-east1",
    "EPYDROP_IMAGE_REPOSITORY": "us-east1-docker.pkg.dev/p/epydrop/stage",
    "EPYDROP_DATABASE": "epydrop",
    "EPYDROP_KICK_TOPIC": "projects/p/topics/epydrop-kicks",
    "EPYDROP_BATCH_TOPIC": "projects/p/topics/epydrop-batch",
    "EPYDROP_RUNS_TOPIC": "projects/p/topics/epydrop-runs",
    "EPYDROP_BATCH_SERVICE_ACCOUNT": "epydrop-batch@p.iam.gserviceaccount.com",
    "EPYDROP_NETWORK": "projects/p/global/networks/epydrop",
    "EPYDROP_SUBNETWORK": "projects/p/regions/us-east1/subnetworks/epydrop",
    "EPYDROP_SIGNING_KEY_SECRET": "projects/p/secrets/epydrop-signing-key/versions/1",
}
