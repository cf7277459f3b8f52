"""The measurements behind the figures in the docs. Each is one command and gives its results as a table and as JSON."""
