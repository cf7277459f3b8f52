"""What adapting a model to a few labels is worth, beside starting from nothing and linear models."""
