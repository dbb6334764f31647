"""Measure this project: every published figure comes from a command in here."""
