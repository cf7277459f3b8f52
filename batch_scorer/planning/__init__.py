"""Inputs become a plan: shards that any worker can take."""
