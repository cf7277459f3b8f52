"""Judges a trained model: how good its answers are, and what its explanations are worth."""
