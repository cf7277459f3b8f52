"""Evaluates a trained model: the quality of its answers, and what its explanations are worth."""
