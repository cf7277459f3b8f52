"""Files become records: one module per format, and one table that lists the formats."""
