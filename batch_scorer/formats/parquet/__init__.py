"""Parquet, read in bounded memory whatever a file claims about itself."""
