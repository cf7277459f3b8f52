"""Object stores: Google Cloud Storage (`gs://`), S3 and servers that speak its protocol (`s3://`)."""
