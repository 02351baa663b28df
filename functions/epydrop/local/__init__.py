"""The cloud on one machine: SQLite for Firestore and Pub/Sub, files for Cloud Storage, processes for Batch."""
