"""Object stores: Google Cloud Storage (`gs://`) and S3 (`s3://`)."""
