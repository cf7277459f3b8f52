"""Whether one process, local workers and Beam's portable interface give the same parts for the same job."""
