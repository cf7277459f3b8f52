"""Query finished runs in SQL: DuckDB views, ground-truth labels, and confidence intervals."""
