"""How often each model is right, on the same test reviews, and whether the differences are more than chance."""
