"""Measure an image at each memory size, and recommend how to deploy it."""
