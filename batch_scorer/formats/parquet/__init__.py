"""Parquet, read in bounded memory whatever the file claims."""
