"""Load a model and run it; the shipped one is in `imdb/`."""
