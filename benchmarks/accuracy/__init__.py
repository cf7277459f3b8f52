"""How often each model is correct on the same test reviews, and whether the differences are more than chance."""
