"""A file becomes records: one module a format, and one table that lists them."""
