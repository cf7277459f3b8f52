"""What sentences and phrases cost a job."""
