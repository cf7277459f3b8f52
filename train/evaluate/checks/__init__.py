"""Where people try a model first: rewritten reviews, minimal sentences, swaps, other domains, long texts."""
