"""What Python users import: a model, a run, a job, and a Beam transform."""
