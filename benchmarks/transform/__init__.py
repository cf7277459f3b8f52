"""What it costs to score texts inside a Beam pipeline of one's own, instead of in a job."""
