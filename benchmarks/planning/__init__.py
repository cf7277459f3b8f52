"""What it takes to plan a million files, and to sum up a hundred thousand shards."""
