"""What `batch-scorer check` finds, and how often it is wrong."""
