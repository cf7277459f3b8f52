"""What an epoch of training costs, beside the notebook's own way."""
