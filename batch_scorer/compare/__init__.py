"""Compare two finished runs: review by review where they share reviews, by distribution otherwise."""
