"""Tasks for people: rows of a run to read and label, and the file that they fill in."""
