"""How long a job takes and what it costs on a cluster: measured times, named assumptions and a small simulation."""
