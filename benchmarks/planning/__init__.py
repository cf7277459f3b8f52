"""What planning a million files takes, and summing up a hundred thousand shards."""
