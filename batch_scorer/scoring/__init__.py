"""The five stages of a shard: read, encode, score, explain, write."""
