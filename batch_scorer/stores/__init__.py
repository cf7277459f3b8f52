"""Object stores: Google Cloud Storage (`gs://`) and S3 (`s3://`), by clients of our own over the makers' libraries."""
