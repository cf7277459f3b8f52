"""What a training has led to, as a page for people: `training.html`, by the means of the report."""
