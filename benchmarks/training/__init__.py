"""What an epoch of training costs, compared with the original notebook."""
