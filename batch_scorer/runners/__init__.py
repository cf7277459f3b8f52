"""Where a job runs: on this machine, on Dataflow, or on a portable runner."""
