"""How long jobs take and what they cost on a cluster: measured times, explicit assumptions and a small simulation."""
