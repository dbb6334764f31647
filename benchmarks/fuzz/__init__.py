"""Odd bodies in, what a server made of them out: python -m benchmarks.fuzz."""
