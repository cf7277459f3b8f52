"""Whether a run is like those before it, or something has gone wrong: measures, and the limits that are broken."""
