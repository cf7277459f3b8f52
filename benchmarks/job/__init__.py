"""The complete command compared with a plain Beam pipeline, and how its time and memory grow with the corpus."""
