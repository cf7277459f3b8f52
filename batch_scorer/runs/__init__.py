"""The directory of a run: the only package that knows the names of its files."""
