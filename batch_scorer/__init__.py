"""batch-scorer: sentiment and its reasons for millions of reviews, as Parquet."""

__version__ = "0.1.0"
