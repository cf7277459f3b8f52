"""How long a job takes and what it costs on a cluster that nobody here has: arithmetic and a small simulation."""
