"""Measure what the rehearsed endpoint adds to a call."""
