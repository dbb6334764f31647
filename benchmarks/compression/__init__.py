"""Measure models from the largest to the smallest: how well they answer, and what they cost."""
