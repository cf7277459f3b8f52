"""Questions to finished runs, in SQL."""
