"""The world in Google Cloud: Firestore, Cloud Storage, Batch and Pub/Sub. Only here are Google's libraries imported."""
