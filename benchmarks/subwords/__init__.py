"""The benchmark of models whose ids are pieces of words."""
