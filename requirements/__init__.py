"""Decide which packages are installed, and how their files lie in the image."""
