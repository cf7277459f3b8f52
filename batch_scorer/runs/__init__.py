"""The directory of a run: the only place that knows the names of its files."""
