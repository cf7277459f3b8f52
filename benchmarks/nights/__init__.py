"""What nights cost and what their table holds in the end, by file and by record; and the memory that records take."""
